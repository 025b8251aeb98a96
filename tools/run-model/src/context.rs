//! What every command needs: the language, the store and the catalogue.

use silhak_store::{Catalogue, Store};

use crate::messages::Lang;

pub(crate) struct Context {
    pub(crate) lang: Lang,
    pub(crate) store: Store,
    pub(crate) catalogue: Catalogue,
}

impl Context {
    pub(crate) fn new(lang: Lang) -> anyhow::Result<Self> {
        let store = Store::open_default()?;
        let catalogue = store.catalogue()?;
        Ok(Self { lang, store, catalogue })
    }
}
