//! `org.freedesktop.DBus.Properties` for every object.

use zbus::Variant;

use super::call::{Answer, Known, Refused};
use super::contract::{INTROSPECTABLE, Interface, OBJECT_MANAGER, PEER, PROPERTIES};
use super::object::Object;
use super::values::Dictionary;
use super::{answers, log_control};

/// Answers `Get`, `GetAll` and `Set`.
pub(super) async fn answer(known: &Known<'_>, object: &Object, member: &str) -> Answer {
    match member {
        "Get" => {
            let (interface, name): (String, String) = known.call.arguments()?;
            find(object, &interface, &name)?;
            let mut all = read(known, object).await?;
            match all.remove(&name) {
                Some(value) => known.call.reply(&value),
                None => Err(unknown(&interface, &name)),
            }
        }
        "GetAll" => {
            let interface: String = known.call.arguments()?;
            // The standard interfaces are there and have no properties.
            if [&PROPERTIES, &INTROSPECTABLE, &PEER, &OBJECT_MANAGER].iter().any(|i| i.name == interface) {
                return known.call.reply(&Dictionary::new());
            }
            if !interface.is_empty() {
                main_interface(object, &interface)?;
            }
            known.call.reply(&read(known, object).await?)
        }
        _ => {
            let (interface, name, value): (String, String, zbus::OwnedVariant) = known.call.arguments()?;
            let property = find(object, &interface, &name)?;
            if !property.writable {
                let text = format!("{name} of {interface} cannot be set");
                return Err(Refused::Standard("org.freedesktop.DBus.Error.PropertyReadOnly", text));
            }
            match &*value {
                Variant::Str(text) => log_control::set(known, &name, text.as_str()).await?,
                other => {
                    let given = other.value_signature().to_string();
                    return Err(Refused::arguments(format!("{name} is a text (s), not {given:?}")));
                }
            }
            known.call.done()
        }
    }
}

/// The interface of an object that has properties.
fn main_interface(object: &Object, name: &str) -> Result<&'static Interface, Refused> {
    let found = object.interfaces().iter().find(|interface| interface.name == name);
    found.copied().ok_or_else(|| {
        Refused::Standard(
            "org.freedesktop.DBus.Error.UnknownInterface",
            format!("there is no interface {name} at this object"),
        )
    })
}

fn find(object: &Object, interface: &str, name: &str) -> Result<&'static super::contract::Property, Refused> {
    let known = main_interface(object, interface)?;
    known.properties.iter().find(|property| property.name == name).ok_or_else(|| unknown(interface, name))
}

fn unknown(interface: &str, name: &str) -> Refused {
    Refused::Standard("org.freedesktop.DBus.Error.UnknownProperty", format!("{interface} has no property {name}"))
}

async fn read(known: &Known<'_>, object: &Object) -> Result<Dictionary, Refused> {
    match object {
        Object::Manager => Ok(answers::of_manager(known.call.service())?),
        Object::Schedule(id) => Ok(answers::of_schedule(&answers::schedule(known, id).await?)),
        Object::Run(id) => Ok(answers::of_run(&answers::open_run(known, id).await?)),
        Object::LogControl => Ok(log_control::read(known)),
        Object::Branch(_) | Object::Base | Object::Schedules | Object::Runs => Ok(Dictionary::new()),
    }
}
