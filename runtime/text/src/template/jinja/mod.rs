//! An interpreter for the Jinja that chat templates are written in.
//!
//! A chat template comes with a model file, so it may be hostile. This interpreter has no access to
//! anything but the values it is given, and everything it does is paid for from one [budget]: the
//! work, and so the memory, of a rendering is bounded whatever the template does. Nesting is bounded
//! where it arises: of the source by the parser, of values when they are made, of calls while they
//! run. It behaves as Jinja2's `ImmutableSandboxedEnvironment` does with the settings that Hugging
//! Face's `transformers` renders chat templates with.

mod access;
mod args;
mod ast;
mod budget;
mod eval;
mod filters;
mod format;
mod json;
mod lexer;
mod methods;
mod ops;
mod parser;
mod predicates;
mod text;
mod value;

pub(super) use ast::Stmt;
pub(super) use eval::{Inputs, render};
pub(super) use parser::parse;
