#!/usr/bin/env bash
# with_air.sh SEMCAST FLAGS… -- COMMAND…: runs COMMAND beside an air with these flags. In COMMAND, TRANSMIT and RECEIVE
# stand for its ports.
set -euo pipefail
semcast=$1
shift
flags=()
while [ "$1" != -- ]; do
    flags+=("$1")
    shift
done
shift
coproc air { exec "$semcast" air --until-input-closes --transmit-addr 127.0.0.1:0 --receive-addr 127.0.0.1:0 "${flags[@]}"; }
# Its first line names its addresses. Closing its input, which the end of this script does, ends it.
read -r ready <&"${air[0]}"
address() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$ready"; }
command=("${@//TRANSMIT/$(address transmit)}")
command=("${command[@]//RECEIVE/$(address receive)}")
"${command[@]}"
