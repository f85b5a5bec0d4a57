//! What clients see when there is no real server at all.
//!
//! Until health checks come, that is a cluster whose file has none.

use super::world::{BASE, VIP, world};

#[test]
fn without_real_servers_the_director_shows_a_page_of_its_own() {
    let Some(world) = world() else { return };
    let none = BASE.replace("role = \"realserver\"", "role = \"client\"");
    world.give("director", &format!("{none}fallback = \"local\"\n"));
    let output = world.converge("director");
    assert!(output.success(), "{}{}", output.stdout, output.stderr);
    assert_eq!(world.pending("director"), Vec::<String>::new());
    let page = world.ok("client", &format!("curl -s http://{VIP}/"));
    assert!(page.contains("Sorry"), "{page}\n{}", world.ok("director", "ipvsadm -Ln"));
}
