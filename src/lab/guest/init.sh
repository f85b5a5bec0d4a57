#!/bin/sh
# The first process of a lab machine: gives the read-only image a disk of its own, what the lab
# wants to be on it, and a network card with its name and address; then systemd takes over.
# Forks are dear in user-mode Linux (25 ms), so what the shell can do is done by the shell.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
set -u

mount -t proc proc /proc
mount -t hostfs -o ro none /lab/share

# The disk: a copy of a template with the image's /etc and /var on it. It survives kill and boot.
mount -t ext4 -o noatime /dev/ubdb /lab/disk || exec /bin/sh
for dir in etc var srv opt root home mnt; do
    mount --bind /lab/disk/$dir /$dir
done

mount -t tmpfs -o mode=1777 tmpfs /tmp

# The binary under test, as the host has it at this moment.
mount --bind /lab/share/converge /usr/bin/converge

# What the lab wants to be on the disk is put there once: later boots find what the host left.
if [ ! -e /lab/disk/seeded ]; then
    cp -R /lab/share/files/. /
    : > /lab/disk/seeded
fi

# A device that was up once does not come up again, so it gets its name first.
. /lab/share/network
ip link set dev vec0 name "$interface"
ip address add "$address" dev "$interface"
ip link set dev "$interface" up

umount /proc
exec /sbin/init
