//! Bugs that are planted between the machines, as the daemon could have them.
//!
//! Each is one that whoever puts the machines together could make; the machines themselves know
//! nothing of it.

/// What every director of a run does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Who had traffic before a restart is not looked up.
    TableForgotten,
    /// What a check says is heard only if another one says something, too.
    HealthMissed,
    /// What another director told counts for ever.
    PeerNeverOld,
    /// What another director told counts as if it had told it now.
    PeerAlwaysNew,
    /// Pools are told to the others when they change and never again.
    NoBeats,
    /// Who holds its servers tells the others that it sees them.
    HeldIsUp,
    /// Nobody else on the network is asked.
    WitnessIgnored,
    /// A witness counts as if it were asked all the time.
    WitnessAtOnce,
    /// Checks count as made while they stand still.
    StillBelieved,
    /// Any pool that only the other director sees has it take the VIP.
    YieldsToAny,
    /// A director that sees as much yields as well.
    YieldsToEqual,
    /// Nobody yields.
    NeverYields,
    /// What is heard of operators is not written.
    WordsNotWritten,
    /// What is heard of operators takes the place of what is known.
    WordsReplaced,
    /// What was taken back is forgotten at once.
    TombstonesForgotten,
    /// A word has the time of the clock, whatever is known.
    SaidByTheClock,
    /// Drains end by the clock of whoever looks.
    DeadlineByOwnClock,
    /// Drains end, but not for good.
    DeadlineReopens,
    /// Drains never end.
    DeadlineForgotten,
    /// Only the pools that a check matters to see that a drain ends.
    DeadlineOfSome,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 20] = [
        Bug::TableForgotten,
        Bug::HealthMissed,
        Bug::PeerNeverOld,
        Bug::PeerAlwaysNew,
        Bug::NoBeats,
        Bug::HeldIsUp,
        Bug::WitnessIgnored,
        Bug::WitnessAtOnce,
        Bug::StillBelieved,
        Bug::YieldsToAny,
        Bug::YieldsToEqual,
        Bug::NeverYields,
        Bug::WordsNotWritten,
        Bug::WordsReplaced,
        Bug::TombstonesForgotten,
        Bug::SaidByTheClock,
        Bug::DeadlineByOwnClock,
        Bug::DeadlineReopens,
        Bug::DeadlineForgotten,
        Bug::DeadlineOfSome,
    ];
}
