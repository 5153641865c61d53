#!/usr/bin/env bash
# The example posture where CAP_SYS_RESOURCE is granted, under cgroup v2 and with piped core dumps, in a throw-away guest,
# since it changes settings of the kernel. By hand: it takes a minute.
#
#   SWAP_DIO_GUEST=RUNNER tests/vm/posture.sh
#
# RUNNER boots a guest and is called as `RUNNER -m MIB -t SECONDS -d FOLDER COMMAND`, as for swapfs.sh.
# Prints what it saw, and FAILED where it is not what it should be. Exit status: 0 if nothing is.
set -euo pipefail
cd "$(dirname "$0")/../.."
runner=${SWAP_DIO_GUEST:?names no runner, see the head of $0}

cargo build --quiet --release --example posture
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "${CARGO_TARGET_DIR:-target}/release/examples/posture" "$folder/"

cat >"$folder/inside" <<'INSIDE'
set -u
export PATH=$PATH:/usr/sbin:/sbin
P=$PWD/posture
status=0
uname -r
seen() { # seen JSON STEP STATE
    grep -q "\"step\":\"$2\",\"state\":\"$3\"" "$1" || { echo "FAILED: $2 is not $3"; cat "$1"; status=1; }
}

echo "== every step but the logs; each thread of it is IO_FLUSHER (0x180000 of field 9)"
mkfifo /tmp/stay /tmp/said
sleep 600 >/tmp/stay &
open=$!
"$P" --json --stay </tmp/stay >/tmp/said 2>/dev/null &
read -r line </tmp/said
echo "$line" >/tmp/inside
pid=$(sed 's/{"pid":\([0-9]*\),.*/\1/' /tmp/inside)
for step in pools stack locked-memory locked-later oom-score io-flusher early-threads cgroup core-dump; do
    seen /tmp/inside $step held
done
for stat in /proc/"$pid"/task/*/stat; do
    flags=$(sed 's/.*) //' "$stat" | cut -d' ' -f7)
    printf '%s flags %#x\n' "$stat" "$flags"
    [ $((flags & 0x180000)) = $((0x180000)) ] || { echo "FAILED: no IO_FLUSHER"; status=1; }
done
"$P" --json "$pid" >/tmp/outside
for step in locked-memory oom-score io-flusher early-threads cgroup core-dump; do seen /tmp/outside $step held; done
setpriv --reuid=65534 --regid=65534 --clear-groups "$P" --json "$pid" >/tmp/nobody
for step in oom-score io-flusher; do seen /tmp/nobody $step held; done
for step in locked-memory log-sinks; do seen /tmp/nobody $step cannot-tell; done
kill $open
wait %2

echo "== without the capability"
setpriv --bounding-set=-sys_resource "$P" --json >/tmp/without
for step in oom-score io-flusher; do seen /tmp/without $step missing; done
seen /tmp/without locked-memory held

echo "== cgroup v2: limits above count, and what a namespace hides is not known"
if grep -q ' /sys/fs/cgroup cgroup2 ' /proc/mounts; then
    root=/sys/fs/cgroup
    echo +memory >$root/cgroup.subtree_control
    mkdir -p $root/a/b
    echo +memory >$root/a/cgroup.subtree_control
    sleep 600 &
    child=$!
    echo $child >$root/a/b/cgroup.procs
    "$P" --json $child >/tmp/free
    seen /tmp/free cgroup held
    echo 64M >$root/a/memory.max
    "$P" $child | grep -A4 ' cgroup '
    echo 32M >$root/a/memory.high
    "$P" $child | grep -A4 ' cgroup '
    "$P" --json $child >/tmp/bound
    seen /tmp/bound cgroup missing
    echo max >$root/a/memory.max
    echo max >$root/a/memory.high
    (
        echo "$BASHPID" >$root/a/b/cgroup.procs
        exec unshare -C -m bash -c "umount $root; mount -t cgroup2 none $root; exec '$P' --json" >/tmp/hidden
    )
    seen /tmp/hidden cgroup cannot-tell
    kill $child
fi

echo "== core dumps to a program: 0 does not stop them, 1 does, and so does root without a limit of its own"
echo '|/bin/true %p' >/proc/sys/kernel/core_pattern
(ulimit -c 0 && exec sleep 600) &
child=$!
sleep 1
"$P" --json $child >/tmp/piped
seen /tmp/piped core-dump cannot-tell # whether it may be dumped at all only itself knows
kill $child
"$P" --json >/tmp/one
seen /tmp/one core-dump held
prlimit --core=0:0 "$P" --json >/tmp/zero
seen /tmp/zero core-dump held
chmod 755 "$P"
prlimit --core=0:0 setpriv --reuid=65534 --regid=65534 --clear-groups "$P" --json >/tmp/user
seen /tmp/user core-dump missing
exit $status
INSIDE

"$runner" -m 512 -t 200 -d "$folder" "bash ./inside"
