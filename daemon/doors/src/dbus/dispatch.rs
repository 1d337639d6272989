//! From a call to its answer: what is at the path, has it such a member, do the arguments have its types, who asks, and then the use case.

use sloth_api::ErrorCode;

use super::call::{Answer, Call, Known, Refused};
use super::contract::{INTROSPECTABLE, Interface, MANAGER, OBJECT_MANAGER, PEER, PROPERTIES, RUN, SCHEDULE};
use super::object::{Object, run_path, schedule_path};
use super::{answers, introspect, manager, peer, properties, run, schedule};

/// Names below one object in its introspection at most; more exist and can be called.
const CHILDREN_MAX: usize = 1000;

/// Answers a call.
pub(super) async fn answer(call: Call) {
    let answer = respond(&call).await;
    let message = match answer {
        Ok(message) => Ok(message),
        Err(refused) => {
            note(&call, &refused);
            call.refusal(&refused)
        }
    };
    if call.wants_no_reply() {
        return;
    }
    let sent = match &message {
        Ok(message) => call.connection.send(message).await,
        Err(error) => Err(error.clone()),
    };
    if let Err(error) = sent {
        tracing::debug!(SLOTH_REQUEST = call.request_id, %error, "an answer could not be sent");
    }
}

fn note(call: &Call, refused: &Refused) {
    let (name, text) = refused.words();
    let member = call.member();
    let (request, path) = (&call.request_id, call.path());
    match refused {
        Refused::Service(error) if error.code == ErrorCode::Internal => {
            tracing::error!(SLOTH_REQUEST = request, member, path, error = text, "a call failed");
        }
        _ => tracing::debug!(SLOTH_REQUEST = request, member, path, name, error = text, "a call was refused"),
    }
}

async fn respond(call: &Call) -> Answer {
    let path = call.path();
    let object = Object::at(&path).ok_or_else(|| Refused::no_object(&path))?;
    let member = call.member();
    let interface = find_interface(&object, call.interface().as_deref(), &member)?;
    let method = interface.methods.iter().find(|method| method.name == member).ok_or_else(|| {
        let text = format!("{} has no method {member}", interface.name);
        Refused::Standard("org.freedesktop.DBus.Error.UnknownMethod", text)
    })?;
    let (expected, given) = (method.signature(), call.signature());
    if expected != given {
        return Err(Refused::arguments(format!("{member} takes {expected:?}, not {given:?}")));
    }
    // What needs no caller.
    match (interface.name, &*member) {
        (name, "Ping") if name == PEER.name => return call.done(),
        (name, "GetMachineId") if name == PEER.name => return machine_id(call),
        _ => {}
    }
    // Who only wants to know what would be allowed is not asked for a password.
    let may_ask = call.may_ask() && !(interface.name == MANAGER.name && member.starts_with("Can"));
    let who = peer::caller(call, may_ask).await?;
    let _place = call.place.of_user(who.uid)?;
    let known = Known { call, who };
    match interface.name {
        name if name == INTROSPECTABLE.name => describe(&known, &object).await,
        name if name == OBJECT_MANAGER.name => managed_objects(&known).await,
        name if name == PROPERTIES.name => properties::answer(&known, &object, &member).await,
        name if name == MANAGER.name => manager::answer(&known, &member).await,
        name => match &object {
            Object::Schedule(id) if name == SCHEDULE.name => schedule::answer(&known, id, &member).await,
            Object::Run(id) if name == RUN.name => run::answer(&known, id, &member).await,
            _ => Err(Refused::no_object(&path)),
        },
    }
}

/// The interface that is meant; without a name the first one that has the method (D-Bus specification, "Method Calls").
fn find_interface(object: &Object, name: Option<&str>, member: &str) -> Result<&'static Interface, Refused> {
    let all = object.interfaces();
    let found = match name {
        Some(name) => all.iter().find(|interface| interface.name == name),
        None => all.iter().find(|interface| interface.methods.iter().any(|method| method.name == member)),
    };
    found.copied().ok_or_else(|| match name {
        Some(name) => Refused::Standard(
            "org.freedesktop.DBus.Error.UnknownInterface",
            format!("there is no interface {name} at this object"),
        ),
        None => Refused::Standard(
            "org.freedesktop.DBus.Error.UnknownMethod",
            format!("no interface of this object has a method {member}"),
        ),
    })
}

fn machine_id(call: &Call) -> Answer {
    match std::fs::read_to_string("/etc/machine-id") {
        Ok(id) => call.reply(&id.trim()),
        Err(error) => {
            let text = format!("/etc/machine-id: {error}");
            Err(Refused::Standard("org.freedesktop.DBus.Error.FileNotFound", text))
        }
    }
}

async fn describe(known: &Known<'_>, object: &Object) -> Answer {
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let children: Vec<String> = match object {
        Object::Branch(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        Object::Base => ["Manager", "schedule", "run"].map(str::to_owned).to_vec(),
        Object::Schedules => {
            // A page of them: whoever has more is told by `ListSchedules` how to read them all.
            let ids = known.call.service().some_schedules(&known.who, CHILDREN_MAX)?;
            ids.iter().map(|id| last(schedule_path(id).as_str())).collect()
        }
        Object::Runs => {
            let runs = answers::open_runs(known, CHILDREN_MAX).await?;
            runs.iter().map(|view| last(run_path(&view.id).as_str())).collect()
        }
        Object::Manager | Object::LogControl => Vec::new(),
        // What does not exist has no description.
        Object::Schedule(id) => {
            answers::schedule(known, id).await?;
            Vec::new()
        }
        Object::Run(id) => {
            answers::open_run(known, id).await?;
            Vec::new()
        }
    };
    known.call.reply(&introspect::xml(object.interfaces(), &children))
}

async fn managed_objects(known: &Known<'_>) -> Answer {
    let objects = answers::managed_objects(known).await?;
    known.call.reply(&objects)
}
