#!/bin/sh
# Run by mmdebstrap on the finished tree ($1): makes it a host with software in it and nothing
# configured, writes the file system of the machines' root to descriptor 8 and the template of
# their disks to descriptor 9.
set -eu
root=$1

# Nothing starts but what a unit of the lab or a role asks for.
mkdir -p "$root/etc/systemd/system-preset" "$root/etc/systemd/system-generators"
cat > "$root/etc/systemd/system-preset/00-lab.preset" <<END
enable lab-agent.service
enable lab-ready.service
enable remote-fs.target
disable *
END
cp "$LAB_GUEST"/*.service "$root/etc/systemd/system/"
systemctl --quiet --root="$root" preset-all
find "$root/etc/rc0.d" "$root"/etc/rc[1-6].d "$root/etc/rcS.d" -type l -delete 2> /dev/null || true

# What costs time at boot and is of no use on a machine without hardware.
for unit in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udev-trigger.service systemd-random-seed.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-machine-id-commit.service \
    systemd-firstboot.service systemd-remount-fs.service systemd-user-sessions.service \
    systemd-tmpfiles-setup-dev.service systemd-journal-flush.service systemd-sysusers.service \
    systemd-logind.service systemd-binfmt.service systemd-boot-system-token.service \
    systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-pstore.service \
    systemd-ask-password-wall.path systemd-ask-password-console.path ldconfig.service \
    kmod-static-nodes.service modprobe@.service proc-sys-fs-binfmt_misc.automount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount getty.target \
    getty@.service serial-getty@.service console-getty.service timers.target; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
for generator in systemd-cryptsetup-generator systemd-debug-generator systemd-getty-generator \
    systemd-gpt-auto-generator systemd-hibernate-resume-generator systemd-integritysetup-generator \
    systemd-rc-local-generator systemd-run-generator systemd-system-update-generator \
    systemd-sysv-generator systemd-veritysetup-generator systemd-bless-boot-generator; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/$generator"
done
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system.conf.d"
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nReadKMsg=no\nAudit=no\n' \
    > "$root/etc/systemd/journald.conf.d/lab.conf"
printf '[Manager]\nDefaultTimeoutStopSec=10s\nStatusUnitFormat=name\n' \
    > "$root/etc/systemd/system.conf.d/lab.conf"

# What the machines look up in place: their kernel's modules, the way in, the binary's place.
mkdir -p "$root/lab/share" "$root/lab/disk" "$root/usr/lib/modules" "$root/etc/converge"
cp -R "$LAB_MODULES"/* "$root/usr/lib/modules/"
for version in "$root"/usr/lib/modules/*; do
    depmod -b "$root" "${version##*/}"
done
cp "$LAB_GUEST/init" "$root/lab/init"
chmod 755 "$root/lab/init"
: > "$root/usr/bin/converge"
: > "$root/etc/fstab"
echo uninitialized > "$root/etc/machine-id"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/usr/share/doc "$root"/usr/share/man \
    "$root"/usr/share/locale "$root"/usr/share/info "$root"/etc/apt/apt.conf.d/99mmdebstrap \
    "$root"/etc/apt/auth.conf.d/*

# The disk's template takes over what a host writes to; the root keeps the empty places.
work=$(mktemp -d)
mkdir "$work/disk"
for dir in var srv opt root home mnt; do
    mv "$root/$dir" "$work/disk/$dir"
    mkdir "$root/$dir"
done
cp -a "$root/etc" "$work/disk/etc"
# A bind mount shows the tree without what mmdebstrap has mounted in it.
mkdir "$work/root"
mount --bind "$root" "$work/root"
echo "lab: writing" >&2
kilobytes=$(du -sk --apparent-size "$work/root" | cut -f1)
size=$((kilobytes * 5 / 4 + 65536))k
mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$work/root" /proc/self/fd/8 $size
mke2fs -q -F -t ext4 -J size=16 -m 0 -d "$work/disk" /proc/self/fd/9 2G
umount "$work/root"
rm -rf "$work"
