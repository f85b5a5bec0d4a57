//! An interface that is up and has a carrier.
//!
//! It need not be there: a tunnel or a container's port comes and goes, and is bad as long as it
//! is gone. The kernel says when any interface changes; then this one is asked for.

use super::{Outcome, Source, bad, word};
use crate::host::chain;
use crate::host::netlink::{Carrier, CarrierNews};

pub(super) struct Interface {
    name: String,
    news: Option<CarrierNews>,
}

impl Interface {
    pub(super) fn new(name: String) -> Self {
        Interface { name, news: None }
    }
}

impl Source for Interface {
    async fn look(&mut self) -> Outcome {
        if self.news.is_none() {
            match CarrierNews::open() {
                Ok(news) => self.news = Some(news),
                Err(error) => return bad(chain(&error)),
            }
        }
        // Listening comes first, so that no change falls between.
        let Some(news) = &self.news else { return bad("nothing answers") };
        match news.look(&self.name).await {
            Ok(Carrier::Yes) => Outcome::Good,
            Ok(carrier @ (Carrier::No | Carrier::Down | Carrier::Absent)) => {
                bad(carrier.to_string())
            }
            Err(error) => {
                // The next look opens another socket.
                self.news = None;
                bad(chain(&error))
            }
        }
    }

    async fn changed(&mut self) {
        word(&mut self.news).await;
    }

    fn tells(&self) -> bool {
        self.news.is_some()
    }
}
