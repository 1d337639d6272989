
# Live names of schedules, runs and backups behind the commands that take them.
_slothctl_names() {
    local words="${COMP_WORDS[*]:1:COMP_CWORD-1} " kind=
    case "$words" in
        *" delete "*|*" rm "*|*" remove "*|*" show "*|*"scheduler "*" "*)
            case "$words" in
                *backup\ *) kind=backups ;;
                runs\ *|run\ *) kind=runs ;;
                scheduler\ add\ *|scheduler\ import\ *|scheduler\ validate\ *) ;;
                scheduler\ *|sched\ *) kind=schedules ;;
            esac ;;
        saved\ *\ *|workflow\ *\ *|*--saved\ ) kind=workflows ;;
        logs\ *|wait\ *|cancel\ *|attach\ *|*--resume\ |*--rerun\ |runs\ *\ *|run\ logs\ *|runs\ logs\ *|runs\ wait\ *|runs\ cancel\ *) kind=runs ;;
    esac
    _slothctl "$@"
    if [[ -n "$kind" && "${COMP_WORDS[COMP_CWORD]}" != -* ]]; then
        COMPREPLY+=($(compgen -W "$(slothctl __complete "$kind" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -F _slothctl_names -o nosort -o bashdefault -o default slothctl
