//! Where keys and values live: fixed-size pages, shared by all layers that see the same window.

use crate::{Error, KvElement, Plan};

/// Index of a [`KvLayer`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvId(pub(crate) usize);

impl KvId {
    /// The layer's position in [`crate::Plan::kv_layers`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// The keys and values that one attention layer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayer {
    /// Number of key-value heads; query heads share them in groups (GQA).
    pub n_kv_heads: usize,
    /// Values per head, for keys and for values alike.
    pub head_dim: usize,
    /// Sliding window: a query at position `p` sees keys at positions `> p - window`. `None` sees everything before it.
    pub window: Option<usize>,
}

impl KvLayer {
    /// Values that one token adds to the keys, and again to the values.
    pub fn width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

/// Layers with the same window: they share one page table per sequence, because they drop pages at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvGroup {
    /// The window of all layers in the group.
    pub window: Option<usize>,
    /// The layers, in the order of the plan.
    pub layers: Vec<KvId>,
}

/// How much key-value storage an executor sets up.
#[derive(Clone, Debug)]
pub struct KvConfig {
    /// Tokens per page.
    pub page_len: usize,
    /// Pages of each [`KvGroup`], in the order of [`crate::Plan::kv_groups`].
    pub n_pages: Vec<usize>,
    /// How values are stored.
    pub element: KvElement,
}

impl KvConfig {
    /// Slots for tokens that a device chooses: every sequence with a token in it has a page, so that there are enough.
    pub fn n_slots(&self) -> usize {
        self.n_pages.first().copied().unwrap_or(0)
    }

    /// Checks that the keys and values of a plan can be stored so.
    pub fn check(&self, plan: &Plan) -> Result<(), Error> {
        let n_groups = plan.kv_groups().len();
        if self.n_pages.len() != n_groups {
            return Err(Error::Count { what: "key-value groups", expected: n_groups, found: self.n_pages.len() });
        }
        if self.page_len == 0 && n_groups > 0 {
            return Err(Error::Count { what: "positions per key-value page", expected: 1, found: 0 });
        }
        let block_len = self.element.block_len();
        match plan.kv_layers().iter().find(|layer| !layer.head_dim.is_multiple_of(block_len)) {
            Some(layer) => Err(Error::KvHead { element: self.element, block_len, found: layer.head_dim }),
            None => Ok(()),
        }
    }

    /// Bytes that the pages of `groups` take over all layers; `usize::MAX` where they are more than can be counted, which
    /// no memory holds.
    pub fn bytes(&self, layers: &[KvLayer], groups: &[KvGroup]) -> usize {
        let token = |layer: &KvId| self.element.bytes(layers[layer.0].width()).saturating_mul(2);
        groups.iter().zip(&self.n_pages).fold(0, |bytes: usize, (group, n)| {
            let token = group.layers.iter().map(token).fold(0, usize::saturating_add);
            bytes.saturating_add(n.saturating_mul(self.page_len).saturating_mul(token))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlanBuilder;

    #[test]
    fn bytes_are_those_of_all_layers_and_never_wrap() {
        let layers = [2, 3].map(|n_kv_heads| KvLayer { n_kv_heads, head_dim: 8, window: None });
        let groups = [0, 1].map(|layer| KvGroup { window: None, layers: vec![KvId(layer)] });
        let config = |n_pages| KvConfig { page_len: 4, n_pages, element: KvElement::F16 };
        assert_eq!(config(vec![5, 7]).bytes(&layers, &groups), (5 * 16 + 7 * 24) * 4 * 2 * 2);
        assert_eq!(config(vec![usize::MAX / 4, 1]).bytes(&layers, &groups), usize::MAX);
        assert_eq!(config(vec![1 << 60, 1 << 60]).bytes(&layers, &groups), usize::MAX);
    }

    #[test]
    fn eight_bits_take_34_bytes_for_32_values_of_a_head() {
        let plan = |head_dim| {
            let p = PlanBuilder::new();
            p.kv_layer(KvLayer { n_kv_heads: 3, head_dim, window: None });
            p.output(p.input(1));
            p.finish().unwrap()
        };
        let config = KvConfig { page_len: 16, n_pages: vec![2], element: KvElement::Q8_0 };
        let whole = plan(96);
        config.check(&whole).unwrap();
        assert_eq!(config.bytes(whole.kv_layers(), &whole.kv_groups()), 2 * 16 * 2 * 3 * 3 * 34);
        let error = config.check(&plan(80)).unwrap_err().to_string();
        assert!(error.contains("multiple of 32") && error.contains("80") && error.contains("--kv f16"), "{error}");
    }
}
