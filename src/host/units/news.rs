//! Word when a unit changes.
//!
//! The word is only that something about the unit changed; how it stands is asked for afterwards.
//! systemd sends it to whoever has subscribed, and keeps doing so when it has forgotten the unit
//! in between. A bus that went away ends it.

use std::num::NonZeroUsize;

use futures_util::{FutureExt, StreamExt};
use zbus::MessageStream;

use super::{MANAGER, MANAGER_PATH, PROPERTIES, UnitError, Units, object_path};
use crate::host::units::BUS;

/// A unit changes several times in one start; one look answers all of them.
const QUEUE: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// Hears of changes of one unit.
#[derive(Debug)]
pub struct UnitNews(MessageStream);

impl Units {
    /// Listens to a unit. Whoever looks at it afterwards misses nothing.
    pub async fn follow(&self, unit: &str) -> Result<UnitNews, UnitError> {
        let failed = |source| UnitError::bus(&format!("listen to {unit}"), source);
        let bus = self.bus().await?;
        let rule = format!(
            "type='signal',sender='{BUS}',path='{}',interface='{PROPERTIES}',\
             member='PropertiesChanged'",
            object_path(unit)
        );
        let words = MessageStream::for_match_rule(rule.as_str(), &bus, Some(QUEUE)).await;
        let words = words.map_err(failed)?;
        match bus.call_method(Some(BUS), MANAGER_PATH, Some(MANAGER), "Subscribe", &()).await {
            Ok(_) => {}
            // By an earlier listener on the same connection.
            Err(zbus::Error::MethodError(name, ..))
                if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed" => {}
            Err(source) => return Err(failed(source)),
        }
        Ok(UnitNews(words))
    }
}

impl UnitNews {
    /// Waits until something may have changed. `false`: no word will come any more.
    pub async fn changed(&mut self) -> bool {
        let heard = matches!(self.0.next().await, Some(Ok(_)));
        while let Some(Some(_)) = self.0.next().now_or_never() {}
        heard
    }
}
