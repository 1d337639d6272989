//! `chain`, `parallel`, `when` and their like.

use mlua::{Lua, MultiValue, Table, Value};

use super::{Define, define_of};
use crate::define::draft::{Desc, DescRef, Element, Parallel, When};
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};
use crate::define::read;

type Made = Result<Desc, Fault>;

/// Makes a descriptor from arguments.
pub(super) type Maker = fn(&Define, &[Raw]) -> Made;

/// Names of the constructors, as Luau sees them.
pub(super) const MAKERS: &[(&str, Maker)] = &[
    ("sequence", sequence),
    ("parallel", parallel),
    ("when", when),
    ("conditional", conditional),
    ("saga", saga),
    ("async_parallel", async_parallel),
];

/// Calls a constructor.
pub(super) fn make(lua: &Lua, maker: Maker, args: MultiValue) -> mlua::Result<Table> {
    let define = define_of(lua)?;
    define.enter(lua);
    let made = define.raws(&args).and_then(|raws| maker(&define, &raws));
    match made {
        Ok(desc) => define.desc_table(lua, desc),
        Err(fault) => Err(define.raise(fault)),
    }
}

fn list(define: &Define, raw: &Raw, what: &str) -> Result<Vec<Element>, Fault> {
    match raw {
        Raw::Table(_) | Raw::Desc(_) => read::elements(raw, &define.desk),
        other => Err(Fault::wrong("list", other.type_name()).about(what)),
    }
}

fn arg(raws: &[Raw], at: usize) -> &Raw {
    raws.get(at).unwrap_or(&Raw::Nil)
}

fn sequence(define: &Define, raws: &[Raw]) -> Made {
    if let Raw::Table(table) = arg(raws, 0)
        && !table.map.is_empty()
        && table.list.is_empty()
    {
        return Err(Fault::wrong("list: a sequence has an order", "a map").about("chain"));
    }
    Ok(Desc::Sequence(list(define, arg(raws, 0), "chain")?))
}

const OPTIONS: [&str; 3] = ["max_workers", "fail_fast", "tolerate"];

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
fn parallel(define: &Define, raws: &[Raw]) -> Made {
    let mut made = Parallel::default();
    let mut options = RawTable::default();
    let elements = match arg(raws, 0) {
        // `parallel{ "a", "b", max_workers = 2 }`: options among the elements.
        Raw::Table(table) if !table.list.is_empty() => {
            let (own, rest) = table.map.iter().cloned().partition(|(name, _)| OPTIONS.contains(&name.as_str()));
            options.map = own;
            Raw::Table(Box::new(RawTable { list: table.list.clone(), map: rest }))
        }
        other => other.clone(),
    };
    made.elements = list(define, &elements, "parallel")?;
    match arg(raws, 1) {
        Raw::Nil => {}
        Raw::Table(table) => options.map.extend(table.map.iter().cloned()),
        number => options.map.push(("max_workers".into(), number.clone())),
    }
    define.desk.unknown_keys("parallel", &options, &OPTIONS);
    if let Some(number) = options.get("max_workers") {
        made.max_workers = Some(read::int(number, 1, 100_000)? as u32);
    }
    if let Some(on) = options.get("fail_fast") {
        made.fail_fast = read::boolean(on)?;
    }
    if let Some(number) = options.get("tolerate") {
        made.tolerate = read::int(number, 0, 100_000)? as u32;
    }
    Ok(Desc::Parallel(made))
}

/// `async.parallel(map, max = 4)` at definition: map keys are task names.
fn async_parallel(define: &Define, raws: &[Raw]) -> Made {
    let max = match arg(raws, 1) {
        Raw::Nil => Raw::Num(4.0),
        other => other.clone(),
    };
    parallel(define, &[arg(raws, 0).clone(), max])
}

fn when(define: &Define, raws: &[Raw]) -> Made {
    let place = define.desk.place();
    let cond = read::when_condition(arg(raws, 0), &place).map_err(|fault| fault.about("when"))?;
    Ok(Desc::When(When { place, branches: vec![(cond, None)], otherwise: None }))
}

fn conditional(define: &Define, raws: &[Raw]) -> Made {
    let Desc::When(mut made) = when(define, raws)? else { return Err(Fault::wrong("condition", "nothing")) };
    made.branches[0].1 = Some(branch(define, arg(raws, 1))?);
    if !matches!(arg(raws, 2), Raw::Nil) {
        made.otherwise = Some(branch(define, arg(raws, 2))?);
    }
    Ok(Desc::When(made))
}

/// `workflow.saga(name, def)`.
fn saga(define: &Define, raws: &[Raw]) -> Made {
    let (name, table) = match arg(raws, 0) {
        Raw::Str(name) => (Some(name.clone()), arg(raws, 1)),
        other => (None, other),
    };
    let mut made = read::saga(table, &define.desk)?;
    made.coordinator = made.coordinator.or(name);
    Ok(Desc::Saga(made))
}

/// What a branch leads to; a list is a sequence.
fn branch(define: &Define, raw: &Raw) -> Result<Element, Fault> {
    read::element(raw, &define.desk).map_err(|fault| fault.about("branch"))
}

/// A method of `when`.
pub(super) fn desc_method(define: &Define, name: &str, desc: &DescRef, raws: &[Raw]) -> Result<(), Fault> {
    if name == "build" {
        return Ok(());
    }
    let added = match name {
        "elseif_" => Some(branch(define, arg(raws, 1))?),
        _ => Some(branch(define, arg(raws, 0))?),
    };
    let mut desc = desc.try_borrow_mut().map_err(|_| Fault::new("E115", "the descriptor is being changed"))?;
    let Desc::When(when) = &mut *desc else {
        return Err(Fault::new("E112", format!("{name:?} is a method of when(…) only")));
    };
    match name {
        "then" | "then_" | "then_do" => match when.branches.last_mut() {
            Some((_, then)) if then.is_none() => *then = added,
            _ => {
                return Err(
                    Fault::new("E112", "this condition has a then already").hint("use elseif_(condition, task)")
                );
            }
        },
        "elseif_" => {
            let cond = read::when_condition(arg(raws, 0), &define.desk.place())?;
            when.branches.push((cond, added));
        }
        _ if when.otherwise.is_some() => return Err(Fault::new("E112", "this when has an else already")),
        _ => when.otherwise = added,
    }
    Ok(())
}

/// Elements of a descriptor for its `run()` inside a task: kind, then names, tasks, functions or descriptors.
pub(super) fn parts(lua: &Lua, value: Table) -> mlua::Result<(String, Table)> {
    let define = define_of(lua)?;
    let Some(super::objects::Object::Desc(desc, _)) = define.object(&value) else {
        return Err(mlua::Error::runtime("a descriptor was expected"));
    };
    let desc = desc.borrow();
    let (kind, elements) = match &*desc {
        Desc::Set(elements) | Desc::Sequence(elements) => ("sequence", elements.clone()),
        Desc::Parallel(parallel) => ("parallel", parallel.elements.clone()),
        Desc::When(_) => ("when", Vec::new()),
        Desc::Saga(_) => ("saga", Vec::new()),
    };
    drop(desc);
    let list = lua.create_table()?;
    for element in elements {
        list.raw_push(match element {
            Element::Name(name, _) => Value::String(lua.create_string(name)?),
            Element::Task(task) => Value::Table(define.task_table(lua, &task)?),
            Element::Function(function, ..) => {
                let inner = define.inner()?;
                crate::vm::Vm(inner).function(function).map_or(Value::Nil, Value::Function)
            }
            Element::Desc(inner) => {
                let table =
                    define.wrap(lua, super::objects::Kind::Desc, |table| super::objects::Object::Desc(inner, table))?;
                Value::Table(table)
            }
        })?;
    }
    Ok((kind.to_owned(), list))
}
