//! The other director: a network namespace at the other end of the cable, what runs there, and an
//! ear on the wire.
//!
//! It speaks VRRP and does nothing else, as a machine of its own would be no busier for what the
//! first one does. Who is Active, and when each advertisement came, is told by the wire alone, by
//! the kernel's own timestamps: no program that is late makes it seem late.

use std::fs;
use std::io::{self, IoSliceMut};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::ground::{self, DIRECTOR, PREFIX};
use super::processes::OURS;

/// The other director's address: on the cable, and none that is this host's own.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);
/// The VIP that moves.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(198, 19, 254, 1);
/// From one advertisement to the next.
pub(crate) const INTERVAL: Duration = Duration::from_millis(10);
/// Its number.
pub(crate) const VRID: u8 = 51;
/// ETH_P_IP, in the order of the wire.
const IPV4: u16 = 0x0800_u16.to_be();
/// Room for the advertisements of some minutes.
const ROOM: usize = 64 << 20;

/// Has the namespace, as long as it lives.
static PLACE: OnceLock<Holder> = OnceLock::new();

struct Holder(Child);

/// Puts the other end of the cable into a namespace of its own.
pub(crate) fn prepare() {
    let mut sleeper = Command::new("unshare");
    sleeper.args(["--net", "sleep", "infinity"]).env(OURS, "1").stdin(Stdio::null());
    let holder = Holder(sleeper.spawn().expect("unshare runs"));
    let own = fs::read_link("/proc/self/ns/net").expect("proc is mounted");
    while fs::read_link(namespace(holder.0.id())).is_ok_and(|link| link == own) {
        thread::sleep(Duration::from_millis(1));
    }
    ground::run("ip", &format!("link set cable netns {}", holder.0.id()));
    assert!(PLACE.set(holder).is_ok(), "it is prepared once");
    for words in ["link set lo up", "link set cable name eth0", "link set eth0 up"] {
        there("ip", words);
    }
    there("ip", &format!("addr add {ADDRESS}/{PREFIX} dev eth0"));
    // The targets are on the link, as real servers are that direct routing reaches: something
    // answers ARP for them.
    for targets in ground::TARGETS {
        there("ip", &format!("route add local {targets} dev lo"));
    }
}

fn namespace(pid: u32) -> String {
    format!("/proc/{pid}/ns/net")
}

fn place() -> String {
    namespace(PLACE.get().expect("it is prepared").0.id())
}

fn there(program: &str, arguments: &str) {
    ground::run("nsenter", &format!("--net={} {program} {arguments}", place()));
}

/// A program that runs there, not counted with the contestant; it is killed when this goes.
pub(crate) struct Standby(Child);

impl Standby {
    /// Starts it with directories of its own for what it leaves.
    pub(crate) fn start(script: &str) -> io::Result<Self> {
        let own = "for own in /run/converge /run/keepalived /var/lib/converge; do mkdir -p $own && \
                   mount -t tmpfs own $own || exit; done; ";
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", place())).args(["unshare", "--mount", "sh", "-c"]);
        command.arg(format!("{own}{script}")).env(OURS, "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Standby(command.spawn()?))
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("our own child");
    }
}

/// Hears advertisements.
pub(crate) struct Ear(Socket);

/// What it heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Advertisements of the first director.
    pub(crate) adverts: usize,
    /// How often another director was Active than before.
    pub(crate) turns: usize,
    /// By how much the first director's came later after each other than they should, in
    /// milliseconds: 99 of 100 by less, and the most.
    pub(crate) late: f64,
    pub(crate) most_late: f64,
}

impl Ear {
    /// Begins to listen.
    pub(crate) fn open() -> io::Result<Self> {
        let path = place();
        let open = || -> io::Result<Socket> {
            setns(fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            let protocol = Protocol::from(i32::from(IPV4));
            let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
            socket.attach_filter(&advertisements())?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::RcvBufForce, &ROOM)?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            Ok(socket)
        };
        // A socket stays where it was made, and a thread where it went.
        thread::scope(|scope| scope.spawn(open).join()).expect("it does not panic").map(Ear)
    }

    /// What came since the last time.
    pub(crate) fn hear(&self) -> io::Result<Heard> {
        let mut heard = Heard::default();
        let (mut active, mut last, mut gaps) = (None, None, Vec::new());
        while let Some((at, from)) = self.next()? {
            heard.turns += usize::from(active.replace(from).is_some_and(|before| before != from));
            if from == DIRECTOR {
                heard.adverts += 1;
                gaps.extend(last.replace(at).map(|before| at.saturating_sub(before)));
            }
        }
        gaps.sort_unstable();
        let late = |gap: Option<&Duration>| {
            gap.map_or(f64::NAN, |gap| gap.saturating_sub(INTERVAL).as_secs_f64() * 1000.0)
        };
        heard.late = late(gaps.get(gaps.len() * 99 / 100));
        heard.most_late = late(gaps.last());
        Ok(heard)
    }

    /// When an advertisement came, since 1970, and from whom.
    fn next(&self) -> io::Result<Option<(Duration, Ipv4Addr)>> {
        let mut header = [0; 20];
        let mut room = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(&mut header)];
        let fd = self.0.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let at = match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut room), flags) {
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(message) => message.cmsgs()?.find_map(|part| match part {
                ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
                _ => None,
            }),
        };
        let at = at.ok_or_else(|| io::Error::other("the kernel gives no time"))?;
        Ok(Some((at, Ipv4Addr::new(header[12], header[13], header[14], header[15]))))
    }
}

/// A filter that takes the IP header of VRRP (RFC 9568 section 5.1: protocol 112).
fn advertisements() -> [SockFilter; 4] {
    // linux/bpf_common.h: BPF_LD of a byte, BPF_JMP, BPF_RET.
    [
        SockFilter::new(0x30, 0, 0, 9),
        SockFilter::new(0x15, 0, 1, 112),
        SockFilter::new(0x06, 0, 0, 20),
        SockFilter::new(0x06, 0, 0, 0),
    ]
}
