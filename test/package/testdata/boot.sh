# Makes the directory $1 the root of this mount namespace, with this machine's /usr, and boots systemd there until
# try.target. Runs as process 1 of namespaces of its own: unshare --fork --mount --pid --uts --ipc --cgroup.
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --bind /usr usr
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
ln -s pts/ptmx dev/ptmx
touch dev/kmsg dev/console
mount --bind console dev/console
pivot_root . old
umount -l /old
mount --make-rshared / # as on a whole machine: systemd mounts credentials where the service sees them
exec env -i container=docker PATH=/usr/bin:/usr/sbin \
  /usr/lib/systemd/systemd --system --unit=try.target --log-target=console --show-status=no
