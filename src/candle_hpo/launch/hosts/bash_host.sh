# Runs in the user's bash, version 3.2 or newer, before the model script: bash itself reads the file that BASH_ENV names
# first, and then runs the script as its main one, with its own $0, BASH_SOURCE and line numbers.
#
# It defines candle_get_param and candle_report, and has the variable val_to_return written to the file named by CANDLE_RESULT_FILE when
# the script ends. A value that is not a number goes there as a text that shows it.

if [ -n "${CANDLE_OWN_BASH_ENV-}" ]; then
  export BASH_ENV=$CANDLE_OWN_BASH_ENV
  unset CANDLE_OWN_BASH_ENV
  if [ -r "$BASH_ENV" ]; then . "$BASH_ENV"; fi
else
  unset BASH_ENV CANDLE_OWN_BASH_ENV
fi

. "${CANDLE_PARAMS_FILE%.json}.sh"

# Report what was measured by a step: VALUE [STEP], or NAME=NUMBER of each. Never fails: what is not a number is left out,
# and that is said once.
candle_report() {
  local IFS=' ' name number line= bare=0 whole=1 wrong=
  local _candle_json='^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$'
  local _candle_number='^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$'
  for number; do
    case $number in
      *=*) name=${number%%=*} number=${number#*=} ;;
      *)
        bare=$((bare + 1))
        case $bare in 1) name=val_to_return ;; 2) name=step ;; *) name="argument $bare" ;; esac
        ;;
    esac
    name=${name//[[:cntrl:]\"\\]/ }
    if [ "$bare" -gt 2 ]; then
      wrong="it takes a value and a step; the others need names"
    elif [[ $number =~ $_candle_json ]]; then
      line="$line, \"$name\": $number"
    elif [[ $number =~ $_candle_number ]]; then
      line="$line, \"$name\": \"$number\"" # a number, but in no form of JSON's
    else
      wrong="$name is \"${number:0:80}\", not a number"
      case $name in step) whole=0 ;; esac
    fi
  done
  if [ -n "$line" ] && [ "$whole" = 1 ]; then
    { printf '{%s}\n' "${line#, }" >> "$CANDLE_REPORTS_FILE"; } 2> /dev/null || wrong="$CANDLE_REPORTS_FILE cannot be written"
  fi
  if [ -z "$line$wrong" ]; then wrong="it was given nothing"; fi
  if [ -n "$wrong" ] && [ -z "${_candle_report_is_wrong-}" ]; then
    _candle_report_is_wrong=1
    printf 'candle: candle_report: %s (said once)\n' "$wrong" >&2 || :
  fi
  return 0
}
export -f candle_report

# Report the value, in the script's own shell and not in its subshells; return the exit status that was.
_candle_report() {
  local _candle_status=$? IFS=' ' _candle_value
  _candle_value=${val_to_return[*]-${candle_value_to_return[*]-}}  # all of an array, which is then no number
  local _candle_number='^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$'
  if [ "$BASH_SUBSHELL" = 0 ] && [ -n "${val_to_return+set}${candle_value_to_return+set}" ]; then
    _candle_value=${_candle_value#"${_candle_value%%[![:space:]]*}"}
    _candle_value=${_candle_value%"${_candle_value##*[![:space:]]}"}
    if [[ $_candle_value =~ $_candle_number ]]; then
      printf '%s\n' "$_candle_value" >| "$CANDLE_RESULT_FILE"
    else
      _candle_value=${_candle_value//[[:cntrl:]\"\\]/ }
      printf '{"val_to_return": "\\"%s\\""}\n' "${_candle_value:0:80}" >| "$CANDLE_RESULT_FILE"
    fi
  fi
  # `set -e` says nothing, and many programs that fail do not either. Of a subshell, the command before it is known.
  if [[ $- == *e* && $_candle_status != 0 && $BASH_SUBSHELL = 0 && ! $BASH_COMMAND =~ ^(exit|return|_candle_) ]]; then
    printf 'candle: set -e ended the script, at or after: %s\n' "${BASH_COMMAND%%$'\n'*}" >&2 || :
  fi
  return "$_candle_status"
}

# What the script itself sets for its exit runs after the report, since it may end the shell, and before another one, since
# it may set the value. There, $? is the status with which the script ends, as by hand, and a status other than 0 is not an error
# to `set -e` or to an ERR trap (hence the `&&`).
trap() {
  local action=- signal others=()
  case ${1-} in
    -[lp]*) builtin trap "$@"; return ;;
    --) shift ;;
  esac
  if [ $# -eq 0 ]; then builtin trap; return; fi
  if [ $# -gt 1 ]; then action=$1; shift; fi
  for signal; do
    case $signal in
      0 | [eE][xX][iI][tT] | [sS][iI][gG][eE][xX][iI][tT])
        builtin trap -- "_candle_report && :
${action#-}
_candle_report && :" EXIT ;;
      *) others+=("$signal") ;;
    esac
  done
  if [ ${#others[@]} -gt 0 ]; then builtin trap -- "$action" "${others[@]}"; fi
}
builtin trap -- '_candle_report && :' EXIT
