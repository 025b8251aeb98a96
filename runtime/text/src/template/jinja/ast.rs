//! The parsed template.

use std::sync::Arc;

/// A statement with the line it begins on.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) line: u32,
    pub(crate) kind: StmtKind,
}

#[derive(Debug)]
pub(crate) enum StmtKind {
    Text(Arc<str>),
    Print(Expr),
    /// The branches in order, then what `else` holds.
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    For(Box<For>),
    Set(Target, Expr),
    SetBlock {
        target: Target,
        filters: Vec<Filter>,
        body: Vec<Stmt>,
    },
    Macro(Arc<Macro>),
    CallBlock {
        call: Expr,
        caller: Arc<Macro>,
    },
    FilterBlock {
        filters: Vec<Filter>,
        body: Vec<Stmt>,
    },
    With {
        bindings: Vec<(Target, Expr)>,
        body: Vec<Stmt>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) items: Expr,
    pub(crate) condition: Option<Expr>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
}

/// What an assignment assigns to.
#[derive(Debug)]
pub(crate) enum Target {
    Name(Arc<str>),
    /// `namespace.attribute`.
    Attribute(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: Arc<str>,
    /// Names and defaults.
    pub(crate) parameters: Vec<(Arc<str>, Option<Expr>)>,
    pub(crate) body: Vec<Stmt>,
}

/// An expression with the line it begins on and the height of its tree.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) line: u32,
    pub(crate) height: u32,
    pub(crate) kind: Box<ExprKind>,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    Name(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Expr, Arc<str>),
    Item(Expr, Expr),
    Slice {
        of: Expr,
        start: Option<Expr>,
        stop: Option<Expr>,
        step: Option<Expr>,
    },
    Call(Expr, Args),
    Filtered(Expr, Filter),
    Test {
        of: Expr,
        negated: bool,
        name: Arc<str>,
        args: Args,
    },
    Not(Expr),
    Negate(Expr),
    Plus(Expr),
    And(Expr, Expr),
    Or(Expr, Expr),
    /// `a ~ b ~ c`.
    Concat(Vec<Expr>),
    Arithmetic(Arithmetic, Expr, Expr),
    /// `a < b <= c`: the first operand, then each comparison with its right operand.
    Compare(Expr, Vec<(Comparison, Expr)>),
    /// `then if condition else otherwise`.
    Conditional {
        condition: Expr,
        then: Expr,
        otherwise: Option<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) name: Arc<str>,
    pub(crate) args: Args,
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(Arc<str>, Expr)>,
    /// `*list`.
    pub(crate) spread: Option<Expr>,
    /// `**dict`.
    pub(crate) spread_named: Option<Expr>,
}
