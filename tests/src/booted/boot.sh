# Boots a tree with systemd as PID 1: DIRECTORY TREE NAME. What it writes is in memory, mounts are in a namespace of their own,
# so all of it is gone when the last process is.
set -eu
directory=$1 tree=$2 name=$3

# A cgroup of its own in every hierarchy: two machines must not meet in one, and limits have to limit something.
join() {
  mkdir -p "$1/$name"
  if [ -e "$1/cpuset.cpus" ] && [ ! -e "$1/cgroup.controllers" ]; then
    cat "$1/cpuset.cpus" >"$1/$name/cpuset.cpus"
    cat "$1/cpuset.mems" >"$1/$name/cpuset.mems"
    echo 1 >"$1/cgroup.clone_children"
  fi
  echo $$ >"$1/$name/cgroup.procs"
}
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  for controller in cpu memory pids io; do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || :
  done
  join /sys/fs/cgroup
else
  for hierarchy in /sys/fs/cgroup/*/; do
    if [ -e "$hierarchy/cgroup.procs" ]; then join "${hierarchy%/}"; fi
  done
fi

# nspawn clears its own directory when the machine reboots, but only where /run is in memory.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
mount -t tmpfs -o mode=0755,size=4g tmpfs "$directory"
mkdir "$directory/upper" "$directory/work" "$directory/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$directory/upper,workdir=$directory/work" overlay "$directory/root" 2>/dev/null ||
  cp -a "$tree/." "$directory/root/"

# nspawn shows the controllers of version 1 read-only; here they are this machine's own.
cat >"$directory/root/usr/local/sbin/init-with-controllers" <<'END'
#!/bin/sh
for hierarchy in /sys/fs/cgroup/*/; do
  mount -o remount,rw "$hierarchy" 2>/dev/null || mount -o remount,rw,bind "$hierarchy" 2>/dev/null || :
done
exec /lib/systemd/systemd "$@"
END
chmod 0755 "$directory/root/usr/local/sbin/init-with-controllers"
echo "$name" >"$directory/root/etc/hostname"

# Its system call filter keeps bpf(2) out, with which systemd counts the packets of a unit.
# With --keep-unit, nspawn leaves a reboot to its caller and ends with 133.
while :; do
  ended=0
  systemd-nspawn --quiet --register=no --system-call-filter=bpf --keep-unit --private-network --console=pipe \
    --machine="$name" --directory="$directory/root" --link-journal=no /usr/local/sbin/init-with-controllers || ended=$?
  [ "$ended" = 133 ] || exit "$ended"
done
