//! How a hook is told what happened: by arguments, by its environment and by what it can read.
//!
//! The arguments are keepalived's. The environment and the line of JSON on standard input say the
//! same and more, in our words.

use serde_json::json;

use super::config::{HookConfig, On};
use super::queue::Numbered;
use crate::host::script::Script;
use crate::vrrp::router::State;

/// Bytes of a reason that a hook gets to see: with all of them escaped, the line still fits into
/// what a script can be given to read.
const REASON: usize = 512;

/// The state as hooks know it.
pub fn on(state: State) -> On {
    match state {
        State::Active => On::Active,
        State::Backup => On::Backup,
        State::Fault => On::Fault,
        State::Initialize => On::Stop,
    }
}

/// What is run to tell a hook; nothing if it does not want to know.
pub fn script(hook: &HookConfig, next: &Numbered) -> Option<Script> {
    let (sequence, happening) = (next.sequence, &next.happening);
    let (router, priority) = (&happening.router, happening.priority);
    let to = on(happening.to);
    if !hook.is_for(router, to) {
        return None;
    }
    // A byte of 0 cannot be passed on, and a line break would make two lines of one.
    let one_line: String =
        happening.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = &one_line[..one_line.floor_char_boundary(REASON)];
    let (from, state) = (happening.from.to_string(), happening.to.to_string());
    let line = json!({
        "router": router,
        "state": state,
        "from": from,
        "alias": to.alias(),
        "priority": priority,
        "reason": reason,
        "sequence": sequence,
    });
    let environment = vec![
        ("CONVERGE_ROUTER", router.clone()),
        ("CONVERGE_STATE", state),
        ("CONVERGE_FROM", from),
        ("CONVERGE_PRIORITY", priority.to_string()),
        ("CONVERGE_REASON", reason.to_owned()),
        ("CONVERGE_SEQUENCE", sequence.to_string()),
    ];
    let argv = hook.command(router, to, priority);
    Some(Script { argv, user: hook.user.clone(), environment, input: format!("{line}\n") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::hook::queue::Happening;
    use crate::host::script::INPUT;

    fn hook(on: On) -> HookConfig {
        HookConfig {
            on: BTreeSet::from([on]),
            argv: vec!["/etc/notify".into()],
            user: Some("nobody".into()),
            timeout: Duration::from_secs(30),
            router: None,
        }
    }

    fn next(to: State, reason: &str) -> Numbered {
        let (router, reason) = ("web".to_owned(), reason.to_owned());
        let happening = Happening { router, from: State::Backup, to, priority: 150, reason };
        Numbered { sequence: 7, happening }
    }

    #[test]
    fn a_hook_is_told_in_keepalived_s_words_and_in_ours() {
        let script = script(&hook(On::Active), &next(State::Active, "a\nb")).expect("it wants");
        assert_eq!(script.argv, ["/etc/notify", "INSTANCE", "web", "MASTER", "150"]);
        assert_eq!(script.user.as_deref(), Some("nobody"));
        let pairs: Vec<String> =
            script.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            pairs,
            [
                "CONVERGE_ROUTER=web",
                "CONVERGE_STATE=Active",
                "CONVERGE_FROM=Backup",
                "CONVERGE_PRIORITY=150",
                "CONVERGE_REASON=a b",
                "CONVERGE_SEQUENCE=7",
            ]
        );
        assert_eq!(
            script.input,
            "{\"alias\":\"MASTER\",\"from\":\"Backup\",\"priority\":150,\"reason\":\"a b\",\
             \"router\":\"web\",\"sequence\":7,\"state\":\"Active\"}\n"
        );
    }

    #[test]
    fn a_hook_is_told_only_what_it_wants_to_know() {
        assert!(script(&hook(On::Active), &next(State::Fault, "")).is_none());
        let stop = script(&hook(On::Stop), &next(State::Initialize, "")).expect("it wants");
        assert_eq!(stop.argv[3], "STOP");
    }

    #[test]
    fn the_longest_reason_fits_into_what_can_be_read() {
        for reason in ["\"".repeat(5000), "é".repeat(5000), "\u{1}".repeat(5000)] {
            let script = script(&hook(On::Fault), &next(State::Fault, &reason)).expect("it wants");
            assert!(script.input.len() < INPUT && script.input.ends_with("}\n"));
        }
    }
}
