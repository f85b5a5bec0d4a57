//! arptables and iptables, in whichever flavour works on this host.
//!
//! Both exist twice: over nf_tables and over the older tables of their own. Which one works depends
//! on the kernel and is found out by trying: a listing proves nothing, for the nf_tables flavour
//! lists empty chains even where the kernel can hold none. What is ours stands in chains of our
//! own, so the flavour that has our chain is the one to go on with.

pub mod calls;
pub mod listing;

use super::command::{self, CommandError};
use calls::{Call, call};
use listing::Listing;

/// One of the programs, by its plain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// arptables(8).
    Arptables,
    /// iptables(8), table `nat`.
    Iptables,
    /// ip6tables(8), table `nat`.
    Ip6tables,
}

impl Program {
    fn word(self) -> &'static str {
        match self {
            Program::Arptables => "arptables",
            Program::Iptables => "iptables",
            Program::Ip6tables => "ip6tables",
        }
    }

    /// What every call begins with.
    fn options(self) -> &'static [&'static str] {
        match self {
            Program::Arptables => &[],
            // The older flavour has a lock; without -w it fails when somebody else holds it.
            Program::Iptables | Program::Ip6tables => &["-w", "-t", "nat"],
        }
    }

    /// Its flavours on this host, in the order in which they are tried. Where there is no choice
    /// only the plain name exists.
    fn flavours(self) -> Vec<Flavour> {
        let flavour = |name: String| Flavour { program: self, name };
        let both = [format!("{}-nft", self.word()), format!("{}-legacy", self.word())];
        let found: Vec<Flavour> =
            both.into_iter().filter(|name| command::find(name).is_some()).map(flavour).collect();
        if found.is_empty() { vec![flavour(self.word().to_owned())] } else { found }
    }
}

/// One program of the host, such as `iptables-legacy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flavour {
    program: Program,
    name: String,
}

impl Flavour {
    /// Runs it once.
    pub async fn run(&self, arguments: &[String]) -> Result<String, CommandError> {
        let mut argv = vec![self.name.as_str()];
        argv.extend(self.program.options());
        argv.extend(arguments.iter().map(String::as_str));
        Ok(command::run(&argv).await?.stdout)
    }

    /// Runs it several times, up to the first failure.
    pub async fn run_all(&self, calls: &[Call]) -> Result<(), CommandError> {
        for call in calls {
            self.run(call).await?;
        }
        Ok(())
    }

    /// All chains with their rules.
    async fn list(&self) -> Result<Listing, CommandError> {
        match self.program {
            // Only -L is known to both flavours.
            Program::Arptables => Ok(Listing::of_arptables(&self.run(&call(&["-L", "-n"])).await?)),
            Program::Iptables | Program::Ip6tables => {
                Ok(Listing::of_iptables(&self.run(&call(&["-S"])).await?))
            }
        }
    }
}

/// The flavour that has one of `chains`, and what it lists; `None` if none has. A flavour that says
/// no while another can be listed does not work on this kernel and holds nothing. Where none can be
/// listed, or one is late, nobody knows.
pub async fn holding(
    program: Program,
    chains: &[&str],
) -> Result<Option<(Flavour, Listing)>, CommandError> {
    let mut lists = false;
    let mut errors = Vec::new();
    for flavour in program.flavours() {
        match flavour.list().await {
            Ok(listing) if chains.iter().any(|c| listing.rules(c).is_some()) => {
                return Ok(Some((flavour, listing)));
            }
            Ok(_) => lists = true,
            Err(error) => {
                tracing::debug!(program = flavour.name, %error, "cannot be listed");
                errors.push(error);
            }
        }
    }
    let counts = |e: &CommandError| !lists || !matches!(e, CommandError::Failed { .. });
    match errors.into_iter().find(counts) {
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// Runs `calls`, which create our chains, in the first flavour that takes all of them; `undo` takes
/// back what a flavour took before it refused.
pub async fn establish(
    program: Program,
    calls: &[Call],
    undo: &[Call],
) -> Result<(), CommandError> {
    let mut refused = None;
    for flavour in program.flavours() {
        let Err(error) = flavour.run_all(calls).await else {
            return Ok(());
        };
        for call in undo {
            if let Err(error) = flavour.run(call).await {
                tracing::debug!(program = flavour.name, %error, "there was nothing to take back");
            }
        }
        tracing::debug!(program = flavour.name, %error, "does not work on this host");
        refused.get_or_insert(error);
    }
    Err(refused.unwrap_or(CommandError::Missing { program: program.word().to_owned() }))
}
