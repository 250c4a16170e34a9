# modelbuild completion; to use it in fish: modelbuild completion fish | source

# The words typed before the one at the cursor, without the options that take a value and their values.
function __modelbuild_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word -C -f --color
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __modelbuild_no_verb
    test (count (__modelbuild_words)) = 0
end

function __modelbuild_verb
    set -l words (__modelbuild_words)
    test (count $words) -gt 0; and test "$argv[1]" = "$words[1]"
end

function __modelbuild_first_word
    test (count (__modelbuild_words)) = 1
end

function __modelbuild_later_word
    test (count (__modelbuild_words)) -gt 1
end

function __modelbuild_names
    set -l where
    set -l words (commandline -opc)
    for index in (seq 2 (count $words))
        if contains -- $words[$index] -C -f; and test $index -lt (count $words)
            set where $where $words[$index] $words[(math $index + 1)]
        end
    end
    modelbuild completion --names $argv[1] --prefix=(commandline -ct | string replace -r '^--[^=]*=' '') $where 2>/dev/null
end

complete -c modelbuild -f
