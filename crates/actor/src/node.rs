//! Which node the running code belongs to: the label that keeps the metrics of several nodes in one process apart.

use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static NODE: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Says that this thread works for a node from now on. A cell says so for each poll of its actor.
pub fn enter_node(name: Option<Arc<str>>) -> Option<Arc<str>> {
    NODE.with(|node| node.replace(name))
}

/// The node this thread works for: the value of the label `node`, empty when it works for none.
pub fn current_node() -> metrics::SharedString {
    NODE.with(|node| node.borrow().as_ref().map_or_else(|| "".into(), |name| name.clone().into()))
}

/// A counter of [`metrics`] with the label `node`.
#[macro_export]
macro_rules! counter {
    ($name:expr $(, $label:expr => $value:expr)* $(,)?) => {
        $crate::__private::metrics::counter!($name, "node" => $crate::current_node() $(, $label => $value)*)
    };
}

/// A gauge of [`metrics`] with the label `node`.
#[macro_export]
macro_rules! gauge {
    ($name:expr $(, $label:expr => $value:expr)* $(,)?) => {
        $crate::__private::metrics::gauge!($name, "node" => $crate::current_node() $(, $label => $value)*)
    };
}

/// A histogram of [`metrics`] with the label `node`.
#[macro_export]
macro_rules! histogram {
    ($name:expr $(, $label:expr => $value:expr)* $(,)?) => {
        $crate::__private::metrics::histogram!($name, "node" => $crate::current_node() $(, $label => $value)*)
    };
}
