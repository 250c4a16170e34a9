# modelbuild completion; to use it in bash: eval "$(modelbuild completion bash)"

@FUNCTIONS@
_modelbuild() {
    local kind word folder manifest line=${COMP_LINE:0:COMP_POINT} IFS=$' \t\n'
    local -a typed
    read -r -a typed <<<"$line"
    [[ $line == *[[:space:]] ]] && typed+=("")
    _modelbuild_find "${typed[@]}"
    IFS=$'\n'
    COMPREPLY=($(compgen -W "$(_modelbuild_names "$kind" "$word" "$folder" "$manifest")" -- "$word"))
    case $kind in
        file | both) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$word")) ;;
        dir) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$word")) ;;
    esac
    # bash divides words at @, : and = too, and replaces only what stands behind the last of them
    local breaks="" sign
    for sign in @ : =; do
        [[ $COMP_WORDBREAKS == *"$sign"* ]] && breaks+=$sign
    done
    if [[ -n $breaks && $word == *[$breaks]* ]]; then
        local tail=${word##*[$breaks]}
        COMPREPLY=("${COMPREPLY[@]#"${word%"$tail"}"}")
    fi
}

complete -F _modelbuild modelbuild
