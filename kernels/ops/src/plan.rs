//! A forward pass as a list of ops.

use bytes::Bytes;
use silhak_quant::Format;

use crate::{Error, KvGroup, KvId, KvLayer, Op};

/// Index of a [`Value`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueId(pub(crate) usize);

impl ValueId {
    /// The value's position in [`Plan::values`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Index of a [`Weight`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightId(pub(crate) usize);

impl WeightId {
    /// The weight's position in [`Plan::weights`], and in the list of data given to a backend.
    pub fn index(self) -> usize {
        self.0
    }
}

/// How many rows a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// One per token of the batch.
    Tokens,
    /// One per token whose logits are wanted.
    Outputs,
}

/// An activation: float32, `[n_rows, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Values per row.
    pub width: usize,
    /// What its rows are.
    pub rows: Rows,
}

/// A constant tensor of the model: `[rows, cols]`, each row in blocks of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The tensor's name in the model file.
    pub name: String,
    /// How its values are stored.
    pub format: Format,
    /// Number of rows: outputs of a matrix, 1 for a vector.
    pub rows: usize,
    /// Values per row.
    pub cols: usize,
}

impl Weight {
    /// Bytes that one row takes, or an error where the row is not a whole number of blocks.
    pub fn row_bytes(&self) -> Result<usize, Error> {
        self.format.row_bytes(self.cols).ok_or_else(|| Error::Shape {
            op: format!("weight {}", self.name),
            expected: format!("rows in blocks of {} ({})", self.format.block_len(), self.format),
            found: format!("rows of {}", self.cols),
        })
    }

    /// Bytes of the whole tensor.
    pub fn bytes(&self) -> Result<usize, Error> {
        let row = self.row_bytes()?;
        row.checked_mul(self.rows).ok_or(Error::OutOfMemory { what: "a weight", bytes: usize::MAX })
    }
}

/// A forward pass: the ops in order, and what they work on. Made by a [`crate::PlanBuilder`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) values: Vec<Value>,
    pub(crate) weights: Vec<Weight>,
    pub(crate) kv_layers: Vec<KvLayer>,
    pub(crate) ops: Vec<Op>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
}

impl Plan {
    /// The ops, in the order in which they run.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Every value that an op reads or writes.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The weights. A backend is given their data in this order.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// Bytes of all weights.
    pub fn weight_bytes(&self) -> Result<usize, Error> {
        self.weights.iter().try_fold(0, |sum: usize, weight| Ok(sum.saturating_add(weight.bytes()?)))
    }

    /// The attention layers' key-value shapes.
    pub fn kv_layers(&self) -> &[KvLayer] {
        &self.kv_layers
    }

    /// Values that the caller provides with each batch.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Values that the caller gets back; a language model has one, its logits.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The same forward pass, which gives back more of its values, behind the outputs there are.
    #[must_use]
    pub fn with_outputs(&self, more: impl IntoIterator<Item = ValueId>) -> Plan {
        let mut plan = self.clone();
        plan.outputs.extend(more);
        plan
    }

    /// A value of the plan.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// A weight of the plan.
    pub fn weight(&self, id: WeightId) -> &Weight {
        &self.weights[id.0]
    }

    /// A key-value layer of the plan.
    pub fn kv_layer(&self, id: KvId) -> &KvLayer {
        &self.kv_layers[id.0]
    }

    /// Entries of the table that tokens are looked up in; none where the plan begins with an input.
    pub fn n_vocab(&self) -> Option<usize> {
        self.ops.iter().find_map(|op| match op {
            Op::Embed { table, .. } => Some(self.weight(*table).rows),
            _ => None,
        })
    }

    /// Checks that a batch's inputs and outputs are as many, and as large, as the plan's.
    pub fn check_io(&self, n_tokens: usize, inputs: &[&[f32]], n_outputs: usize) -> Result<(), Error> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::Count { what: "inputs", expected: self.inputs.len(), found: inputs.len() });
        }
        if n_outputs != self.outputs.len() {
            return Err(Error::Count { what: "outputs", expected: self.outputs.len(), found: n_outputs });
        }
        for (id, input) in self.inputs.iter().zip(inputs) {
            let expected = n_tokens * self.value(*id).width;
            if input.len() != expected {
                return Err(Error::Count { what: "values of an input", expected, found: input.len() });
            }
        }
        Ok(())
    }

    /// The layers by window, in the order in which the windows first appear.
    pub fn kv_groups(&self) -> Vec<KvGroup> {
        let mut groups: Vec<KvGroup> = Vec::new();
        for (i, layer) in self.kv_layers.iter().enumerate() {
            match groups.iter_mut().find(|g| g.window == layer.window) {
                Some(group) => group.layers.push(KvId(i)),
                None => groups.push(KvGroup { window: layer.window, layers: vec![KvId(i)] }),
            }
        }
        groups
    }

    /// Checks that `data` holds every weight in full.
    pub fn check_weights(&self, data: &[Bytes]) -> Result<(), Error> {
        if data.len() != self.weights.len() {
            return Err(Error::Count { what: "weights", expected: self.weights.len(), found: data.len() });
        }
        for (weight, bytes) in self.weights.iter().zip(data) {
            let expected = weight.bytes()?;
            if bytes.len() != expected {
                return Err(Error::WeightSize { name: weight.name.clone(), expected, found: bytes.len() });
            }
        }
        Ok(())
    }
}
