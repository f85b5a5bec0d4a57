#!/bin/sh
# Makes a host a real server behind an LVS-DR director; looks before it changes anything.
#
#   realserver.sh VIP FILES PATHS UNITS
#
# FILES is a directory with the wanted files at their full paths, PATHS lists those paths and
# UNITS the systemd units that have to run, both separated by commas; either may be "-".
# As a careful administrator would write it: the shell's own commands where they will do, and one
# call for several questions.
set -eu

vip=$1 files=$2 paths=$3 units=$4
changes=0

changed() {
    echo "changed: $*"
    changes=$((changes + 1))
}

# The ARP sysctls come first: with the VIP on lo and without them, this host answers for it.
conf=net.ipv4.conf
all="$conf.all.arp_ignore $conf.all.arp_announce $conf.lo.arp_ignore $conf.lo.arp_announce"
# (The shell's own `read` cannot: the kernel gives these files out in one piece only.)
if [ "$(sysctl -n $all)" != "1
2
1
2" ]; then
    sysctl -q -w $conf.all.arp_ignore=1 $conf.all.arp_announce=2 \
        $conf.lo.arp_ignore=1 $conf.lo.arp_announce=2
    changed "ARP sysctls"
fi

case $(ip -oneline address show dev lo) in
*" $vip/32 "*"lo:0"*) ;;
*)
    ip address add "$vip/32" dev lo label lo:0
    changed "$vip on lo:0"
    ;;
esac

if [ -z "$(ip route show table main "$vip" dev lo)" ]; then
    ip route add "$vip/32" dev lo
    changed "route to $vip"
fi

reload=
if [ "$paths" != - ]; then
    IFS=,
    for path in $paths; do
        cmp -s "$files$path" "$path" && continue
        mkdir -p "${path%/*}"
        cp "$files$path" "$path.new"
        mv "$path.new" "$path"
        reload=yes
        changed "$path"
    done
    unset IFS
fi

if [ "$units" != - ]; then
    if [ -n "$reload" ]; then
        systemctl daemon-reload
        systemctl is-active --quiet nginx.service && nginx -t -q &&
            systemctl reload nginx.service
    fi
    IFS=,
    set -- $units
    unset IFS
    # Fails unless all are active.
    if ! systemctl is-active --quiet "$@"; then
        systemctl start "$@"
        changed "$units started"
    fi
    if ! systemctl is-enabled --quiet nginx.service; then
        systemctl enable --quiet nginx.service
        changed "nginx.service enabled"
    fi
fi

echo "$changes changes"
