//! What every command needs: the language, the store and the catalogue.

use silhak_store::{Catalogue, Store};

use crate::cli::Command;
use crate::messages::{self, Lang};
use crate::output;

pub(crate) struct Context {
    pub(crate) lang: Lang,
    pub(crate) store: Store,
    pub(crate) catalogue: Catalogue,
}

impl Context {
    /// A mistake in the user's own catalogue is in the way of those commands only that are about the catalogue.
    pub(crate) fn new(lang: Lang, command: &Command) -> anyhow::Result<Self> {
        let store = Store::open_default()?;
        let catalogue = match store.catalogue() {
            Err(error) if !command.needs_catalogue() => {
                output::note(&lang.own_catalogue_unused(&messages::store_error(lang, &error)));
                Catalogue::builtin()?
            }
            read => read?,
        };
        Ok(Self { lang, store, catalogue })
    }
}
