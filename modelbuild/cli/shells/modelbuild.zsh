#compdef modelbuild
# modelbuild completion; to use it in zsh: eval "$(modelbuild completion zsh)", after compinit
@FUNCTIONS@
_modelbuild() {
    local kind word folder manifest
    local -a found
    _modelbuild_find "${(@)words[1,CURRENT]}"
    found=(${(f)"$(_modelbuild_names "$kind" "$word" "$folder" "$manifest")"})
    case $words[CURRENT] in
        --*=*) compset -P '*=' ;;
    esac
    (( $#found )) && compadd -- $found
    case $kind in
        file | both) _files ;;
        dir) _files -/ ;;
    esac
}

if [ "$funcstack[1]" = "_modelbuild" ]; then
    _modelbuild "$@"
else
    compdef _modelbuild modelbuild
fi
