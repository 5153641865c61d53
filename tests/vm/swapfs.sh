#!/usr/bin/env bash
# swapfs under global memory pressure, in a throw-away guest that may hang without harm. By hand: it takes minutes.
#
#   SWAP_DIO_GUEST=RUNNER tests/vm/swapfs.sh [CASE[=RUNS]…]
#
# RUNNER boots a guest and is called as `RUNNER -m MIB -t SECONDS -s MIB -d FOLDER COMMAND`: memory, time limit, size of
# a scratch disk /dev/vdd, a folder that is copied to /in, a command to run there with bash as root. It prints what the
# command prints and exits with its status; 124 stands for the time limit, 125 for a guest that died.
#
# Cases, with the runs that the claim needs:
#   bmap=5           340 MiB of pages in 256 MiB of memory, all written twice and read back three times
#   killed=3         the same, with the server killed while pages go out; then swapoff by path
#   answering=1      as `killed`, with --answer-open: shows that swapoff by path fails then
#   refused=1        --mode loop without its override
#   demo=1           `swapfs demo` in cgroups of version 2, both modes, with 48 MiB in 32
#   ext4=5           an ext4 swap file on the same disk: the control
#   loop-disk=5      a loop device over the disk itself; reported
#   buffered=5       the same without direct I/O; reported
#   loop=5           --mode loop with it: what the refusal is worth; any outcome is reported, none fails
#   boosted=5        the same with vm.watermark_boost_factor=100000: what sets it off is there by default, and smaller
#   bare=5           as loop, without what the posture needs: nothing locked, no IO_FLUSHER, no OOM score; reported
#   file=5           --mode loop over an image that is a file on ext4; reported
#   loop-file=5      a loop device over a file on ext4, without any server; reported
#   stacked=5        a swap file of ext4 on such a loop device; reported
# For each, what `check` says of the area before it is activated stands beside the outcome. A run in which no page was
# swapped for a minute hung: what waits then is printed, and the guest ended.
# Exit status: 0 if each case came out as claimed.
set -euo pipefail
cd "$(dirname "$0")/../.."
runner=${SWAP_DIO_GUEST:?names no runner, see the head of $0}
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=(bmap=5 killed=3 answering=1 refused=1 demo=1 ext4=5 loop-disk=5 buffered=5 loop=5 boosted=5 bare=5 file=5 loop-file=5 stacked=5)

cargo build --quiet --release --features fuser --example swapfs --example check
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "${CARGO_TARGET_DIR:-target}"/release/examples/{swapfs,check} "$folder/"

# What runs in the guest: prints one line that begins with `outcome`.
cat >"$folder/inside" <<'INSIDE'
set -u
export PATH=$PATH:/usr/sbin:/sbin
case=$1
modprobe fuse 2>/dev/null
modprobe loop 2>/dev/null
mkdir -p /run/m
if [ $case = demo ]; then
    mkdir -p /run/cgroup
    mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /run/cgroup
    cat /sys/fs/cgroup/cgroup.controllers /run/cgroup/cgroup.controllers 2>/dev/null | grep memory || exit 9
    # /dev/vdd is no tmpfs, and takes ext4.
    mkfs.ext4 -q /dev/vdd && mount /dev/vdd /run/m || exit 9
    ./swapfs demo --working-set 48 --limit 32 --folder /run/m >/run/out 2>&1
    status=$?
    cat /run/out
    echo "outcome status=$status $(awk '$1 == "bmap" || $1 == "loop" { print $1, "wrong=" $6 }' /run/out | tr '\n' ' ')"
    exit 0
fi
mode=bmap more=
case $case in
    answering) more=--answer-open ;;
    refused) mode=loop ;;
    loop | boosted | bare) mode=loop more="--accept-risk loop-over-fuse" ;;
    file) mode=loop more="--accept-risk loop-over-fuse,file-backed" ;;
esac
image=/dev/vdd server=
written() { # a file of zeros with so many MiB
    dd if=/dev/zero of=$1 bs=1M count=$2 2>/dev/null && sync -f $1 && chmod 600 $1 || exit 9
}
case $case in
    ext4 | file | loop-file | stacked)
        mkdir -p /run/disk
        mkfs.ext4 -q $image && mount $image /run/disk || exit 9
        image=/run/disk/image
        ;;
esac
case $case in
ext4 | loop-disk | buffered | loop-file | stacked)
    area=$image direct=on
    case $case in loop-file | stacked) written $image 560 ;; buffered) direct=off ;; esac
    [ $case = ext4 ] || area=$(losetup --direct-io=$direct -f --show $image) || exit 9
    if [ $case = stacked ]; then
        mkdir -p /run/upper
        mkfs.ext4 -q $area && mount $area /run/upper || exit 9
        area=/run/upper/swapfile
    fi
    case $case in ext4 | stacked) written $area 480 ;; esac
    echo "area $area" >/run/out
    ;;
*)
./swapfs format $image --size 480M || exit 9
[ $case != boosted ] || echo 100000 >/proc/sys/vm/watermark_boost_factor
as=
if [ $case = bare ]; then
    as="setpriv --bounding-set -ipc_lock,-sys_resource --inh-caps -ipc_lock,-sys_resource prlimit --memlock=65536"
    more=$more,pools,locked-memory,locked-later
fi
$as ./swapfs serve $image /run/m --mode $mode $more >/run/out 2>/run/said &
server=$!
for _ in $(seq 300); do
    grep -q '^ready' /run/out && break
    kill -0 $server 2>/dev/null || break
    sleep 0.1
done
;;
esac
if [ $case = refused ]; then
    grep -q ready /run/out && exit 9
    echo "outcome refused: $(cat /run/said)"
    exit 0
fi
area=$(sed -n 's/^area //p' /run/out)
[ -n "$area" ] || { cat /run/said; exit 9; }
mkswap $area >/dev/null || exit 9
accept=
if [ -n "$server" ] && [ $mode = bmap ]; then accept="--accept-risk blocks-stay,server-death"; fi
./check --json --all $accept $area |
    sed -n 's/.*"bio":{"verdict":"\([a-z]*\)","reasons":\(.*\)},"file".*"warnings":\(\[[^]]*\]\).*/verdict \1 \2, warned of \3/p' |
    sed 's/{"code":"\([a-z-]*\)"[^}]*}/\1/g'
swapon $area || exit 9
free -m | sed -n 2p

out() { sed -n 's/^pswpout //p' /proc/vmstat; }
./swapfs watch 60 &
watch=$!
coproc pages { ./swapfs pages 340 7; }
wrong=0
order() {
    echo "$1" >&${pages[1]} && read -r -t 600 done count bad millis <&${pages[0]} || { echo "outcome died at $1"; exit 3; }
    echo "$1: $count pages, $bad wrong, $millis ms"
    wrong=$((wrong + bad))
}
first() { # the first filling, with the server's death in the middle
    echo "fill 1 sequential" >&${pages[1]}
    while [ "$(out)" -lt 4000 ]; do sleep 0.1; done
    kill -9 $server
    echo "killed at $(out) pages out"
    read -r -t 600 done count bad millis <&${pages[0]} || { echo "outcome died after the server"; exit 3; }
}
case $case in
    killed | answering) first ;;
    *) order "fill 1 sequential" ;;
esac
order "verify 1 sequential"
order "fill 2 sequential"
order "verify 2 sequential"
order "verify 2 random"
grep -E '^(pswpin|pswpout|allocstall_normal|oom_kill) ' /proc/vmstat | tr '\n' ' '
echo
exec {pages[1]}>&-
wait $pages_PID 2>/dev/null
swapoff $area 2>/run/off
off=$?
kill $watch
echo "outcome wrong=$wrong swapoff=$off $(cat /run/off)"
INSIDE

failed=0
for entry in "${cases[@]}"; do
    case=${entry%%=*} runs=1
    [ "$case" = "$entry" ] || runs=${entry#*=}
    for run in $(seq "$runs"); do
        status=0
        said=$("$runner" -m 256 -t 1200 -s 1024 -d "$folder" "bash ./inside $case" 2>&1) || status=$?
        outcome=$(sed -n 's/^outcome //p' <<<"$said" | tail -n 1)
        case "$case $status $outcome" in
            "bmap 0 wrong=0 swapoff=0 " | "ext4 0 wrong=0 swapoff=0 " | "killed 0 wrong=0 swapoff=0 ") verdict=pass ;;
            "answering 0 wrong=0 swapoff="[1-9]*) verdict=pass ;;
            "refused 0 refused: "*"--mode loop"*"refused"*) verdict=pass ;;
            "demo 0 status=0 bmap wrong=0 loop wrong=0 ") verdict=pass ;;
            # Whatever came of it; a set-up that failed is none of it.
            loop-disk\ * | buffered\ * | loop\ * | boosted\ * | bare\ * | file\ * | loop-file\ * | stacked\ *)
                case $status in 0 | 3 | 124 | 125) verdict=seen ;; *) verdict=FAIL failed=1 ;; esac ;;
            *) verdict=FAIL failed=1 ;;
        esac
        [ "$status" != 124 ] || outcome="hung or too slow: stopped at the time limit"
        [ "$status" != 125 ] || outcome=${outcome:-the guest died}
        judged=$(sed -n 's/^verdict //p' <<<"$said")
        printf '%s %s/%s %s: %s%s\n' "$case" "$run" "$runs" "$verdict" "$outcome" "${judged:+; check said $judged}"
        [ "$verdict" = pass ] && [ -z "${VERBOSE:-}" ] || sed 's/^/    /' <<<"$said" | tail -n 60
    done
done
exit $failed
