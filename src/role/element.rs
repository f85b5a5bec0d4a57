//! One table of a role file, once for each host or VIP that it is for.
//!
//! Every `[[section]]` understands two keys beside its own: `for-each` repeats it for every host of
//! a role, or for every VIP, which is then `{{each.…}}`; `when` leaves it out if it renders to
//! nothing, to `false` or to `0`. In both cases `{{of.…}}` is the host that it is about: the
//! repeated one, or this one.

use crate::diagnostic::{Diagnostics, Place};
use crate::document::{Field, Reader, Shape, Spanned, Value};
use crate::role::facts::Facts;

/// `for-each`, for the table of every section.
pub const FOR_EACH: Field = Field::optional(
    "for-each",
    Shape::Text,
    "Repeats this for every host of a role, or for every VIP with \"vip\"; {{each.name}} and so on \
     is then the one in turn.",
);

/// `when`, for the table of every section.
pub const WHEN: Field = Field::optional(
    "when",
    Shape::Text,
    "Leaves this out if the text is empty, \"false\" or \"0\" once it is rendered.",
);
