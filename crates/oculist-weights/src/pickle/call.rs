//! Names, and calls that are noted down.

use super::value::{Id, Value};
use super::{MOST, Machine, op, refused};
use crate::error::WeightsError;

/// Longest name of a function or class.
const LONGEST_NAME: usize = 1024;

/// Classes of dictionaries; what they add does not matter here.
const DICTIONARIES: [&str; 4] =
    ["collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"];
/// Classes that are called with one sequence and are it, for what is asked here.
const SEQUENCES: [&str; 7] = [
    "torch.Size",
    "builtins.list",
    "builtins.tuple",
    "builtins.set",
    "builtins.frozenset",
    "__builtin__.set",
    "__builtin__.frozenset",
];

impl Machine<'_> {
    pub(super) fn call_step(&mut self, opcode: u8) -> Result<(), WeightsError> {
        match opcode {
            op::GLOBAL => {
                let name = self.global_of_lines()?;
                self.push(name)?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(name), Some(module)) = (self.values.text(name), self.values.text(module)) else {
                    return self.fail("expected the name of a function or class to be a text");
                };
                let global = self.global(module.as_bytes(), name.as_bytes())?;
                self.push(global)?;
            }
            op::REDUCE | op::NEWOBJ => {
                let (args, callee) = (self.pop()?, self.pop()?);
                self.call(callee, args)?;
            }
            op::NEWOBJ_EX => {
                let (_keywords, args, callee) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callee, args)?;
            }
            op::OBJ => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return self.fail("expected a class");
                }
                let callee = args.remove(0);
                self.push(Value::Tuple(args))?;
                let args = self.pop()?;
                self.call(callee, args)?;
            }
            op::INST => {
                let class = self.global_of_lines()?;
                let args = self.pop_mark()?;
                self.push(class)?;
                let callee = self.pop()?;
                self.push(Value::Tuple(args))?;
                let args = self.pop()?;
                self.call(callee, args)?;
            }
            op::BUILD => {
                let new = self.pop()?;
                let top = self.top()?;
                // The state of a container is what a subclass or a later version added: `_metadata` of a state dict.
                if let Value::Call { state, .. } = self.values.get_mut(top) {
                    *state = Some(new);
                }
            }
            op::PERSID => {
                return self
                    .fail("it names storages by texts (protocol 0), which PyTorch does not read either");
            }
            _ => {
                let key = self.pop()?;
                self.push(Value::Persistent(key))?;
            }
        }
        Ok(())
    }

    fn global_of_lines<'b>(&mut self) -> Result<Value<'b>, WeightsError> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        self.global(module, name)
    }

    fn global<'b>(&self, module: &[u8], name: &[u8]) -> Result<Value<'b>, WeightsError> {
        if module.len() + name.len() > LONGEST_NAME {
            return self.fail(format!("it names a function or class by more than {LONGEST_NAME} bytes"));
        }
        let name = format!("{}.{}", String::from_utf8_lossy(module), String::from_utf8_lossy(name));
        if refused::is_refused(&name) {
            return Err(WeightsError::Refused { name });
        }
        Ok(Value::Global(name.into()))
    }

    /// Notes a call down, or makes the container that it would make.
    fn call(&mut self, callee: Id, args: Id) -> Result<(), WeightsError> {
        let name = self.values.global(callee).unwrap_or_default();
        let given = self.values.sequence(args).unwrap_or_default();
        if DICTIONARIES.contains(&name) {
            let pairs = match given {
                [list] => self.pairs_of_list(*list).unwrap_or_default(),
                _ => Vec::new(),
            };
            // A list that is memorised could be copied again and again.
            self.copied += pairs.len();
            if self.copied > MOST {
                return self.fail(format!("its dictionaries are made from more than {MOST} pairs"));
            }
            return self.push(Value::Dict(pairs));
        }
        if let [one] = given
            && SEQUENCES.contains(&name)
            && matches!(self.values.get(*one), Value::List(_) | Value::Tuple(_) | Value::Set(_))
        {
            return self.push_id(*one);
        }
        // `(class, base, state)`: how protocols 0 and 1 make an object.
        let callee = match given {
            [class, ..] if matches!(name, "copyreg._reconstructor" | "copy_reg._reconstructor") => *class,
            _ => callee,
        };
        self.push(Value::Call { callee, args, state: None })
    }

    /// The items of a list of pairs: how Python 2 gives an `OrderedDict` its content.
    fn pairs_of_list(&self, list: Id) -> Option<Vec<(Id, Id)>> {
        let pair = |id: &Id| match self.values.sequence(*id)? {
            &[key, value] => Some((key, value)),
            _ => None,
        };
        self.values.sequence(list)?.iter().map(pair).collect()
    }
}
