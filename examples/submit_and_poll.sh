#!/bin/sh
# Submit one photo and wait for its measurements: sh submit_and_poll.sh photo.jpg
# Prints the result as JSON. Ends with 0 when it was measured, 1 when the photo was rejected or the service failed, and
# as curl does when the service cannot be reached.
# Needs curl. Where the service is comes from FACEFIT_URL, the key from FACEFIT_API_KEY if there are keys.
set -eu

url=${FACEFIT_URL:-http://127.0.0.1:8000}
photo=$1
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

call() { # prints the status; the body is in $answer
    # The key by a pipe: what stands on a command line can be read by everybody on the machine.
    printf '%s\n' "${FACEFIT_API_KEY:+header = \"Authorization: Bearer $FACEFIT_API_KEY\"}" |
        curl --config - --silent --show-error --retry 7 --retry-all-errors \
            --output "$answer" --write-out '%{http_code}' "$@"
}

first() { # the first string of a name in $answer
    grep -o "\"$1\":\"[^\"]*\"" "$answer" | head -n 1 | cut -d '"' -f 4
}

# The same key however often this is sent again: the photo is measured once. 409: a first try is still being answered.
key=$(cksum < "$photo" | tr ' ' '-')-$$
status=409
while [ "$status" = 409 ]; do
    status=$(call --header "Idempotency-Key: $key" --form "image=@\"$photo\"" \
        --form-string "reference=$(basename "$photo")" "$url/v1/jobs")
    [ "$status" != 409 ] || sleep 2
done
if [ "$status" != 202 ]; then
    cat "$answer" >&2
    exit 1
fi
job=$(first id)

# Each request waits up to 20 s by itself, so this asks seldom.
while :; do
    status=$(call "$url/v1/jobs/$job?wait=20")
    case "$status" in
        200) ;;
        503) sleep 5; continue ;;
        *) cat "$answer" >&2; exit 1 ;;
    esac
    case "$(first status)" in
        succeeded) cat "$answer"; exit 0 ;;
        rejected | failed | cancelled) cat "$answer" >&2; exit 1 ;;
    esac
done
