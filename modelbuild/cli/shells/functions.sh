_modelbuild_options() {
    case $1 in
@OPTIONS@
    esac
}

_modelbuild_words() {
    case $1 in
@WORDS@
    esac
}

_modelbuild_values() {
    case "$1:$2" in
@VALUES@
        :-C) echo dir ;;
        :-f) echo file ;;
        :--color) echo 'auto always never' ;;
    esac
}

# _modelbuild_find WORD...: what the last word may be -> kind, word; and the folder and manifest named before it
_modelbuild_find() {
    local before="" verb="" later="" count=$# index=0 text
    kind="" word="" folder="." manifest="models.yaml"
    for text in "$@"; do
        index=$((index + 1))
        [ "$index" = 1 ] && continue
        if [ "$index" = "$count" ]; then
            word=$text
        elif [ "$before" = -C ]; then
            folder=$text before=""
        elif [ "$before" = -f ]; then
            manifest=$text before=""
        elif [ -n "$before" ] && [ -n "$(_modelbuild_values "$verb" "$before")" ]; then
            before=""
        else
            case $text in
                -*) before=$text ;;
                *) before="" ; [ -n "$verb" ] && later=+ ; [ -z "$verb" ] && verb=$text ;;
            esac
        fi
    done
    case $word in
        --*=*) before=${word%%=*} word=${word#*=} ;;
    esac
    [ -n "$before" ] && kind=$(_modelbuild_values "$verb" "$before")
    [ -n "$kind" ] && return
    case $word in
        -*) kind=$(_modelbuild_options "$verb")
            [ -z "$verb" ] && kind="--help --version -C -f --json -q -v --color" ;;
        *) kind=$(_modelbuild_words "$verb$later")
            [ -z "$verb" ] && kind="@VERBS@" ;;
    esac
}

# _modelbuild_names KIND WORD FOLDER MANIFEST: the words of a kind, a line each
_modelbuild_names() {
    case $1 in
        "" | text | file | dir) ;;
        both) modelbuild completion --names selectors --prefix="$2" -C "$3" -f "$4" 2>/dev/null ;;
        selectors | actions | chips | stages)
            modelbuild completion --names "$1" --prefix="$2" -C "$3" -f "$4" 2>/dev/null ;;
        *) printf '%s\n' "$1" | tr ' ' '\n' ;;
    esac
}
