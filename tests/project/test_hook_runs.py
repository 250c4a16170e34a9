"""The hook before a commit: real commits through the real command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelbuild.project import hooks, reads
from modelbuild.project.layout import RECORDED
from tests.project.git_harness import TEXT, Git
from tests.project.hook_calls import BROKEN, commits, judged, write
from tests.project.small_project import write_model


class TestBeforeACommit:
    def test_broken_in_the_index_and_good_in_the_work_tree_is_refused(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        git("add", "--all")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT)
        made, said = commits(git)
        assert not made and "models.yaml:4:23: unknown chip `kl99`" in said

    def test_good_in_the_index_and_broken_in_the_work_tree_passes(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        assert commits(git) == (True, "")
        assert "kl99" in (project / "models.yaml").read_text()

    def test_commit_all_and_commit_of_a_path_judge_what_they_take(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        write(git.folder / "README", "x")
        assert not commits(git, "--all")[0]
        assert not commits(git, "sub dir/models.yaml")[0]
        git("add", "README")
        assert commits(git) == (True, "")

    def test_what_git_is_told_to_take_as_unchanged(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        git("add", "--all")
        git("update-index", "--assume-unchanged", "sub dir/models.yaml")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT)
        made, said = judged(git)
        assert not made and "unknown chip `kl99`" in said

    def test_what_a_sparse_checkout_leaves_out(self, git: Git, project: Path) -> None:
        git("sparse-checkout", "set", "--no-cone", "/*", "!/sub dir/models/", "!/sub dir/data/")
        assert not (project / "models").exists() and not (project / "data").exists()
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        assert judged(git, "--all") == (True, "")
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "large.onnx"))
        assert not judged(git, "--all")[0]

    def test_no_verify(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        assert commits(git, "--all", "--no-verify")[0]

    def test_a_model_that_was_replaced_is_judged_as_staged(self, git: Git, project: Path) -> None:
        model = project / "models/small.onnx"
        good = model.read_bytes()
        model.write_bytes(b"broken")
        git("add", "--all")
        model.write_bytes(good)
        made, said = judged(git)
        assert not made and "not an ONNX file" in said and "an error in what is staged" in said
        write_model(model, seed=2)
        git("add", "--all")
        model.write_bytes(b"broken")
        assert judged(git) == (True, "")

    def test_a_file_that_git_was_not_told_of(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "new.onnx"))
        shutil.copy(project / "models/small.onnx", project / "models/new.onnx")
        made, said = judged(git, "--all")
        assert not made
        assert "models/new.onnx does not exist" in said and "`git add 'sub dir/models/new.onnx'`" in said
        git("add", "-N", "sub dir/models/new.onnx")  # announced is not staged
        git("add", "--all")
        assert judged(git)[0]

    def test_a_staged_deletion_breaks_what_needs_the_file(self, git: Git) -> None:
        git("rm", "-q", "--cached", "sub dir/models/small.onnx")  # it lies in the work tree still
        made, said = judged(git)
        assert not made and "the model models/small.onnx does not exist" in said

    @pytest.mark.long
    def test_a_renamed_model(self, git: Git, project: Path) -> None:
        git("mv", "sub dir/models/small.onnx", "sub dir/models/other.onnx")
        assert not judged(git)[0]
        write(project / "models.yaml", "modelbuild: 1\n" + TEXT.replace("small.onnx", "other.onnx"))
        assert judged(git, "--all") == (True, "")

    def test_samples_that_git_ignores_are_taken_as_they_lie(self, git: Git, project: Path) -> None:
        git("rm", "-rq", "--cached", "sub dir/data")
        made, said = judged(git)
        assert not made and "no sample file matches" in said and "git add" in said
        write(project / ".gitignore", "data/\n")
        git("add", "sub dir/.gitignore")
        assert judged(git) == (True, "")

    def test_a_sample_that_was_forgotten_is_a_warning(self, git: Git, project: Path) -> None:
        shutil.copy(project / "data/0.npy", project / "data/9.npy")
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        made, said = judged(git, "--all")
        assert made and "1 file of the sample set `some` in the work tree, not in git: data/9.npy" in said

    @pytest.mark.long
    def test_an_lfs_pointer_in_the_index(self, git: Git, project: Path) -> None:
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
        model = project / "models/small.onnx"
        good = model.read_bytes()
        write(model, pointer)
        git("add", "--all")
        model.write_bytes(good)
        made, said = judged(git)
        assert not made and "Git LFS pointer" in said

    def test_external_weights_beside_a_partly_staged_model(self, git: Git, project: Path) -> None:
        model = project / "models/small.onnx"
        write_model(model, seed=2, external=True)
        git("add", "--all")
        assert judged(git) == (True, "")
        write_model(model, seed=3, external=True)
        git("add", "sub dir/models/small.onnx")
        model.write_bytes(b"broken")
        assert judged(git) == (True, "")
        git("rm", "-q", "--cached", "sub dir/models/weights.bin")
        made, said = judged(git)
        assert not made and "weights.bin" in said

    def test_another_projects_breakage_stops_no_commit(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        git.commit("broken on purpose")
        write(git.folder / "README", "x")
        git("add", "--all")
        made, said = judged(git)
        assert made and "models.yaml was broken before this commit" in said
        write(project / "models.yaml", "modelbuild: 1\n# still\n" + BROKEN)
        assert not judged(git, "--all")[0]

    def test_a_branch_without_the_manifest(self, git: Git, project: Path) -> None:
        git("rm", "-rq", "sub dir")
        assert commits(git) == (True, "")

    @pytest.mark.long
    def test_the_first_commit_of_a_repository(self, tmp_path: Path, git: Git) -> None:
        shutil.rmtree(git.folder / ".git")
        git("init", "-q")
        hooks.install(git.folder / "sub dir", "models.yaml")
        git("add", "--all")
        assert git.run("commit", "-q", "-m", "first").returncode == 0
        (git.folder / "sub dir/models/small.onnx").write_bytes(b"broken")
        assert git.run("commit", "-q", "--amend", "--all", "-m", "first").returncode == 1

    def test_a_linked_work_tree_is_judged_by_its_own_index(self, git: Git, tmp_path: Path) -> None:
        git("worktree", "add", "-q", "-b", "second", str(tmp_path / "second"))
        second = Git(tmp_path / "second", git.home)
        write(second.folder / "sub dir/models.yaml", "modelbuild: 1\n" + BROKEN)
        write(git.folder / "README", "x")
        git("add", "--all")
        assert commits(git) == (True, "")
        assert not commits(second, "--all")[0]
        write(second.folder / "sub dir/models.yaml", "modelbuild: 1\n# good\n" + TEXT)
        assert commits(second, "--all") == (True, "")

    def test_with_the_path_of_a_graphical_client(self, git: Git, project: Path) -> None:
        write(project / "models.yaml", "modelbuild: 1\n" + BROKEN)
        made, said = commits(git, "--all", PATH="/usr/bin:/bin")
        assert not made and "unknown chip" in said

    @pytest.mark.long
    def test_a_package_in_the_repository_cannot_stand_in_for_ours(self, git: Git, project: Path) -> None:
        for name in ("modelbuild", "yaml", "json"):
            write(git.folder / name / "__init__.py", "raise SystemExit(3)\n")
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert commits(git) == (True, "")


class TestTwoManifestsOfAFolder:
    @pytest.fixture
    def second(self, git: Git, project: Path) -> Path:
        """Another manifest beside models.yaml; both have passed a check."""
        other = project / "b.yaml"
        write(other, "modelbuild: 1\n" + TEXT)
        hooks.install(project, other.name)
        write(project / "models.yaml", "modelbuild: 1\n# changed\n" + TEXT)
        git("add", "--all")
        assert judged(git) == (True, "")
        return other

    @pytest.mark.parametrize("broken", ["b.yaml", "models.yaml"])
    def test_each_is_judged(self, git: Git, project: Path, second: Path, broken: str) -> None:
        for name in ("b.yaml", "models.yaml"):
            text = BROKEN if name == broken else TEXT
            write(project / name, "modelbuild: 1\n# once more\n" + text)
        made, said = judged(git, "--all")
        assert not made and f"{broken}:" in said

    def test_what_one_has_read_says_nothing_of_the_other(self, project: Path, second: Path) -> None:
        first, other = reads.load(project, "models.yaml"), reads.load(project, "b.yaml")
        assert first is not None and other is not None and first.named == other.named
        kept = sorted((project / RECORDED).glob("passed.*"))
        kept[0].write_bytes(kept[1].read_bytes())
        assert reads.load(project, "b.yaml") is None
