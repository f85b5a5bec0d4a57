//! What clients get.

use super::world::{VIP, world};

#[test]
fn both_web_servers_answer_in_turn_through_the_vip() {
    let world = world();
    world.both_servers_answer();
    let pages = world.ok("client", &format!("curl -s http://{VIP}/; curl -s http://{VIP}/"));
    assert!(pages.contains("/opt/111") && pages.contains("/opt/222"), "{pages}");
}
