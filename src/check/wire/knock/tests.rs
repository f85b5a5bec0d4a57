//! Knocks that are answered, not answered, answered by others, late, and by noise.

use proptest::prelude::*;

use super::*;
use crate::frame::arp;
use crate::frame::claim::How;
use crate::frame::icmp::Refused;

const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x12];
const ETHERNET: usize = 14;
const IPIP: Way = Way::Tunnel(Tunnel::Ipip);
const TIMEOUT: Duration = Duration::from_millis(1000);

fn ms(n: u64) -> Moment {
    Moment::after_start(Duration::from_millis(n))
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

fn door(way: Way) -> Door {
    Door { vip: at("10.77.0.100:80"), server: [10, 77, 0, 11].into(), way }
}

fn origin() -> Origin {
    Origin { index: 3, mac: OWN_MAC, own: at("10.77.0.1:40000") }
}

fn claim(address: IpAddr, mac: [u8; 6]) -> Claim {
    Claim { address, mac, how: How::Answering }
}

/// A knocker and what it had done.
struct Scene {
    knocker: Knocker<u32>,
    asked: Vec<Vec<u8>>,
    /// To which Ethernet address, and what.
    sent: Vec<([u8; 6], Segment)>,
    tunnelled: Vec<Segment>,
    done: Vec<(u32, Outcome)>,
}

impl Scene {
    fn new() -> Self {
        let (asked, sent, tunnelled, done) = (vec![], vec![], vec![], vec![]);
        Scene { knocker: Knocker::new(7), asked, sent, tunnelled, done }
    }

    /// One whose server is known on the link.
    fn acquainted() -> Self {
        let mut scene = Scene::new();
        scene.begin(0, Way::Direct, 0);
        scene.claims(door(Way::Direct).server, SERVER_MAC, 0);
        scene.knocker.abort(0);
        scene.sent.clear();
        scene.asked.clear();
        scene
    }

    fn follow(&mut self) {
        while let Some(output) = self.knocker.poll_output() {
            match output {
                Output::Frame { index, frame, .. } => {
                    assert_eq!(index, 3);
                    assert_eq!(frame[6..12], OWN_MAC);
                    match tcp::segment(&frame[ETHERNET..]) {
                        Some(segment) => {
                            assert_eq!(frame[ETHERNET + 8], HOPS);
                            self.sent.push((frame[..6].try_into().expect("six"), segment));
                        }
                        None => self.asked.push(frame),
                    }
                }
                Output::Tunnel { server, packet, .. } => {
                    assert_eq!(server, door(IPIP).server);
                    self.tunnelled.push(tcp::segment(&packet).expect("a segment"));
                }
                Output::Done(run, outcome) => self.done.push((run, outcome)),
            }
        }
    }

    fn begin(&mut self, run: u32, way: Way, now: u64) {
        self.knocker.begin(run, door(way), origin(), TIMEOUT, ms(now));
        self.follow();
    }

    fn claims(&mut self, address: IpAddr, mac: [u8; 6], now: u64) {
        self.knocker.handle_claim(3, &claim(address, mac), ms(now));
        self.follow();
    }

    /// An answer to the last SYN.
    fn answers(&mut self, flags: u8, off: u32, mac: Option<[u8; 6]>, now: u64) {
        let is_syn = |segment: &&Segment| segment.flags == flag::SYN;
        let direct = self.sent.iter().map(|(_, segment)| segment);
        let mut all = self.tunnelled.iter().chain(direct);
        let syn = *all.rfind(is_syn).expect("a SYN");
        let answer = Segment {
            source: syn.destination,
            destination: syn.source,
            sequence: 5000,
            acknowledgement: syn.sequence.wrapping_add(1).wrapping_add(off),
            flags,
        };
        self.knocker.handle_answer(3, mac, &answer, ms(now));
        self.follow();
    }

    fn passes(&mut self, now: u64) {
        self.knocker.handle_timeout(ms(now));
        self.follow();
    }

    fn syns(&self) -> usize {
        let direct = self.sent.iter().map(|(_, segment)| segment);
        direct.chain(&self.tunnelled).filter(|segment| segment.flags == flag::SYN).count()
    }

    fn resets(&self) -> usize {
        let direct = self.sent.iter().map(|(_, segment)| segment);
        direct.chain(&self.tunnelled).filter(|segment| segment.flags == flag::RESET).count()
    }
}

const SYN_ACK: u8 = flag::SYN | flag::ACK;
const RESET_ACK: u8 = flag::RESET | flag::ACK;

fn good() -> Outcome {
    Outcome::Good(Advice::default())
}

#[test]
fn a_knock_asks_the_link_sends_a_syn_there_and_lets_the_answer_go() {
    let mut scene = Scene::new();
    scene.begin(1, Way::Direct, 0);
    let question = arp::request(OWN_MAC, [10, 77, 0, 1].into(), [10, 77, 0, 11].into(), None);
    assert_eq!((scene.asked.clone(), scene.syns()), (vec![question.to_vec()], 0));
    scene.claims([10, 77, 0, 11].into(), SERVER_MAC, 1);
    let (to, syn) = scene.sent[0];
    assert_eq!((to, syn.destination), (SERVER_MAC, at("10.77.0.100:80")));
    scene.answers(SYN_ACK, 0, Some(SERVER_MAC), 2);
    let (to, reset) = scene.sent[1];
    assert_eq!((to, reset.flags), (SERVER_MAC, flag::RESET));
    assert_eq!(reset.sequence, syn.sequence.wrapping_add(1));
    assert_eq!(scene.done, [(1, good())]);
    assert_eq!(scene.knocker.poll_timeout(), None);
}

#[test]
fn a_server_that_is_known_is_not_asked_for_again_as_long_as_it_answers() {
    let mut scene = Scene::acquainted();
    for run in 1..100 {
        scene.begin(run, Way::Direct, u64::from(run) * 1000);
        scene.answers(SYN_ACK, 0, Some(SERVER_MAC), u64::from(run) * 1000 + 1);
    }
    assert_eq!((scene.asked.len(), scene.done.len()), (0, 99));
}

#[test]
fn a_syn_is_sent_twice_at_most_and_the_second_may_be_answered() {
    let mut scene = Scene::acquainted();
    scene.begin(1, Way::Direct, 100);
    assert_eq!(scene.knocker.poll_timeout(), Some(ms(600)));
    scene.passes(599);
    assert_eq!(scene.syns(), 1);
    scene.passes(600);
    scene.passes(900);
    assert_eq!(scene.syns(), 2);
    scene.answers(SYN_ACK, 0, Some(SERVER_MAC), 950);
    assert_eq!(scene.done, [(1, good())]);
}

#[test]
fn a_reset_says_that_the_port_is_closed_and_is_not_answered() {
    let mut scene = Scene::acquainted();
    scene.begin(1, Way::Direct, 0);
    scene.answers(RESET_ACK, 0, Some(SERVER_MAC), 1);
    let closed = "it takes packets for 10.77.0.100, but port 80 is closed";
    assert_eq!(scene.done, [(1, Outcome::Bad(Failure::answered(closed)))]);
    assert_eq!(scene.resets(), 0);
}

#[test]
fn what_acknowledges_something_else_is_no_answer_but_is_let_go() {
    let mut scene = Scene::acquainted();
    scene.begin(1, Way::Direct, 0);
    scene.answers(SYN_ACK, 1, Some(SERVER_MAC), 1);
    // What is left at the server of an older knock, whose reset was lost (RFC 9293 3.10.7.3).
    scene.answers(flag::ACK, 77, Some(SERVER_MAC), 1);
    scene.answers(RESET_ACK, 1, Some(SERVER_MAC), 1);
    scene.answers(flag::RESET, 0, Some(SERVER_MAC), 1);
    scene.answers(flag::SYN, 0, Some(SERVER_MAC), 1);
    assert_eq!((scene.done.len(), scene.resets()), (0, 2));
    scene.passes(500);
    scene.answers(SYN_ACK, 0, Some(SERVER_MAC), 501);
    assert_eq!(scene.done, [(1, good())]);
}

#[test]
fn a_late_answer_is_let_go_where_it_came_from() {
    for way in [Way::Direct, IPIP] {
        let mut scene = Scene::acquainted();
        scene.begin(1, way, 0);
        scene.knocker.expire(1);
        scene.answers(SYN_ACK, 0, Some(SERVER_MAC), 2000);
        assert_eq!((scene.done.len(), scene.resets()), (0, 1), "{way:?}");
        assert_eq!(scene.tunnelled.len(), if way == IPIP { 2 } else { 0 });
    }
}

#[test]
fn through_a_tunnel_go_the_syn_and_the_reset() {
    let mut scene = Scene::new();
    scene.begin(1, IPIP, 0);
    assert!(scene.asked.is_empty() && scene.sent.is_empty());
    // By a router.
    scene.answers(SYN_ACK, 0, Some(OTHER_MAC), 1);
    let flags: Vec<u8> = scene.tunnelled.iter().map(|segment| segment.flags).collect();
    assert_eq!(flags, [flag::SYN, flag::RESET]);
    assert_eq!(scene.done, [(1, good())]);
}

#[test]
fn silence_says_as_much_as_the_link_says() {
    let mut scene = Scene::new();
    scene.begin(1, Way::Direct, 0);
    scene.passes(500);
    assert_eq!(scene.asked.len(), 2);
    let nowhere = "10.77.0.11 does not answer ARP: it is not on this link";
    assert_eq!(scene.knocker.expire(1), Failure::silent(nowhere));

    let mut scene = Scene::acquainted();
    scene.begin(2, Way::Direct, 0);
    scene.passes(500);
    scene.claims([10, 77, 0, 11].into(), SERVER_MAC, 501);
    let mends = "`ip address add 10.77.0.100/32 dev lo` there, or converge with role realserver";
    let lacks = format!("it takes no packets for 10.77.0.100: {mends}");
    assert_eq!(scene.knocker.expire(2), Failure::answered(lacks));

    scene.begin(3, Way::Direct, 1000);
    scene.passes(1500);
    let gone = "no answer from 10.77.0.100, nor from 10.77.0.11";
    assert_eq!(scene.knocker.expire(3), Failure::silent(gone));
    // It is asked for anew, of everybody.
    scene.asked.clear();
    scene.begin(4, Way::Direct, 2000);
    assert_eq!(scene.asked[0][..6], [0xff; 6]);

    scene.begin(5, IPIP, 2000);
    let failure = scene.knocker.expire(5);
    assert!(failure.what.contains("ip address add 10.77.0.100/32 dev tunl0"), "{failure}");
    scene.begin(6, Way::Tunnel(Tunnel::Gue(6080)), 2000);
    let failure = scene.knocker.expire(6);
    let both = "`ip fou add port 6080 gue` and `ip address add 10.77.0.100/32 dev tunl0` there";
    assert!(failure.what.contains(both), "{failure}");
}

#[test]
fn a_server_that_passes_the_syn_on_lacks_the_vip() {
    let lacks = "it passes packets for 10.77.0.100 on instead of taking them: `ip address add \
                 10.77.0.100/32 dev lo` there, or converge with role realserver";
    for why in [Refused::Expired, Refused::Redirected, Refused::Unreachable] {
        let mut scene = Scene::acquainted();
        scene.begin(1, Way::Direct, 0);
        let (_, syn) = scene.sent[0];
        let (source, destination, sequence) = (syn.source, syn.destination, syn.sequence);
        let from = door(Way::Direct).server;
        let refusal = Refusal { from, why, source, destination, sequence };
        scene.knocker.handle_refusal(&Refusal { source: at("10.77.0.2:40000"), ..refusal });
        scene.follow();
        assert!(scene.done.is_empty(), "it is about somebody else's");
        scene.knocker.handle_refusal(&refusal);
        scene.follow();
        assert_eq!(scene.done, [(1, Outcome::Bad(Failure::answered(lacks)))], "{why}");
    }
}

#[test]
fn an_answer_of_the_vip_s_holder_is_no_proof_and_that_of_a_bond_is() {
    let vip: IpAddr = [10, 77, 0, 100].into();
    let answered_by_other = || {
        let mut scene = Scene::acquainted();
        scene.begin(1, Way::Direct, 0);
        scene.answers(SYN_ACK, 0, Some(OTHER_MAC), 1);
        assert_eq!((scene.done.len(), scene.asked.len(), scene.resets()), (0, 1, 1));
        scene
    };
    let mut scene = answered_by_other();
    scene.claims(vip, OTHER_MAC, 2);
    assert!(matches!(&scene.done[..], [(1, Outcome::Bad(_))]), "{:?}", scene.done);
    let mut scene = answered_by_other();
    scene.claims(vip, [2, 0, 0, 0, 0, 2], 2);
    assert_eq!(scene.done, [(1, good())]);
    let mut scene = answered_by_other();
    scene.passes(500);
    assert_eq!(scene.done, [(1, good())]);
}

#[test]
fn what_was_aborted_is_not_heard_of_again() {
    let mut scene = Scene::acquainted();
    scene.begin(1, Way::Direct, 0);
    scene.knocker.abort(1);
    scene.answers(SYN_ACK, 0, Some(SERVER_MAC), 1);
    scene.passes(5000);
    assert!(scene.done.is_empty());
    assert_eq!(scene.knocker.expire(1), Failure::silent("no answer"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Every run ends once at most, and none is left behind.
    #[test]
    fn whatever_comes_a_run_ends_once(
        steps in proptest::collection::vec((0..7u8, 0..4u32, any::<u8>(), 0..3u32), 0..60),
    ) {
        let mut scene = Scene::acquainted();
        let (mut begun, mut ended) = (0, 0);
        let mut under_way = BTreeSet::new();
        for (time, (step, pick, flags, off)) in (0u64..).step_by(100).zip(steps) {
            match step {
                0 | 1 => {
                    begun += 1;
                    under_way.insert(begun);
                    let way = if pick == 0 { IPIP } else { Way::Direct };
                    scene.begin(begun, way, time);
                }
                2 if scene.syns() > 0 => {
                    let mac = [Some(SERVER_MAC), Some(OTHER_MAC), None][off as usize];
                    scene.answers(flags, off, mac, time);
                }
                3 => scene.claims([10, 77, 0, 11].into(), SERVER_MAC, time),
                4 => scene.claims([10, 77, 0, 100].into(), OTHER_MAC, time),
                5 => {
                    if let Some(run) = under_way.pop_first() {
                        scene.knocker.expire(run);
                        ended += 1;
                    }
                }
                _ => scene.passes(time),
            }
            for (run, _) in scene.done.drain(..) {
                prop_assert!(under_way.remove(&run), "{run} ended before");
                ended += 1;
            }
        }
        prop_assert_eq!(begun, ended + u32::try_from(under_way.len()).expect("few"));
        prop_assert_eq!(scene.knocker.knocks.len(), under_way.len());
        prop_assert_eq!(scene.knocker.numbers.len(), under_way.len());
        prop_assert!(scene.knocker.due.len() <= under_way.len());
        under_way.into_iter().for_each(|run| scene.knocker.abort(run));
        prop_assert_eq!(scene.knocker.poll_timeout(), None);
        prop_assert!(scene.knocker.doubting.is_empty());
    }
}
