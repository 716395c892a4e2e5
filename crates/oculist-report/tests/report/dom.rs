//! The page in html5ever: its parse errors, and a few ways to look into the tree.

use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// A parsed page.
pub(crate) struct Page {
    dom: RcDom,
}

impl Page {
    pub(crate) fn parse(html: &str) -> Self {
        let mut options = ParseOpts::default();
        options.tokenizer.exact_errors = true;
        options.tree_builder.exact_errors = true;
        let dom = parse_document(RcDom::default(), options).one(html);
        Page { dom }
    }

    /// What the parser had to repair.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.dom.errors.borrow().iter().map(ToString::to_string).collect()
    }

    /// All elements in document order.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let mut found = Vec::new();
        walk(&self.dom.document, &mut found);
        found
    }

    /// The elements with this tag.
    pub(crate) fn tags(&self, tag: &str) -> Vec<Element> {
        self.elements().into_iter().filter(|e| e.tag() == tag).collect()
    }

    /// The element with this id.
    pub(crate) fn id(&self, id: &str) -> Option<Element> {
        self.elements().into_iter().find(|e| e.attribute("id").as_deref() == Some(id))
    }
}

fn walk(node: &Handle, found: &mut Vec<Element>) {
    if matches!(node.data, NodeData::Element { .. }) {
        found.push(Element(node.clone()));
    }
    for child in node.children.borrow().iter() {
        walk(child, found);
    }
}

/// One element.
pub(crate) struct Element(Handle);

impl Element {
    pub(crate) fn tag(&self) -> String {
        match &self.0.data {
            NodeData::Element { name, .. } => name.local.to_string(),
            _ => String::new(),
        }
    }

    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        match &self.0.data {
            NodeData::Element { attrs, .. } => {
                attrs.borrow().iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.attributes().into_iter().find(|a| a.0 == name).map(|a| a.1)
    }

    /// The text in it.
    pub(crate) fn text(&self) -> String {
        fn collect(node: &Handle, text: &mut String) {
            if let NodeData::Text { contents } = &node.data {
                text.push_str(&contents.borrow());
            }
            for child in node.children.borrow().iter() {
                collect(child, text);
            }
        }
        let mut text = String::new();
        collect(&self.0, &mut text);
        text
    }

    /// The elements inside it with this tag.
    pub(crate) fn tags(&self, tag: &str) -> Vec<Element> {
        let mut found = Vec::new();
        walk(&self.0, &mut found);
        found.into_iter().skip(1).filter(|e| e.tag() == tag).collect()
    }
}
