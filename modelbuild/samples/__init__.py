"""Files -> arrays: images, .npy, .npz, labels, and preprocessing as the manifest declares it."""
