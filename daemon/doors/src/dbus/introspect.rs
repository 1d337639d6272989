//! The introspection XML (D-Bus specification, "Introspection Data Format"), written from the table of the contract.

use super::contract::{Interface, Property};

const HEAD: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
                    \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";

/// The description of an object with these interfaces and these names below it.
pub(super) fn xml(interfaces: &[&Interface], children: &[String]) -> String {
    let mut text = format!("{HEAD}<node>\n");
    for interface in interfaces {
        write_interface(&mut text, interface);
    }
    for child in children {
        text.push_str(&format!(" <node name=\"{child}\"/>\n"));
    }
    text.push_str("</node>\n");
    text
}

fn write_interface(text: &mut String, interface: &Interface) {
    text.push_str(&format!(" <interface name=\"{}\">\n", interface.name));
    for method in interface.methods {
        let arguments = (method.takes.iter().map(|argument| (argument, "in")))
            .chain(method.gives.iter().map(|argument| (argument, "out")))
            .map(|((name, kind), way)| format!("   <arg name=\"{name}\" type=\"{kind}\" direction=\"{way}\"/>\n"));
        write_member(text, "method", method.name, &arguments.collect::<String>());
    }
    for property in interface.properties {
        write_property(text, property);
    }
    for signal in interface.signals {
        let arguments =
            signal.carries.iter().map(|(name, kind)| format!("   <arg name=\"{name}\" type=\"{kind}\"/>\n"));
        write_member(text, "signal", signal.name, &arguments.collect::<String>());
    }
    text.push_str(" </interface>\n");
}

fn write_member(text: &mut String, kind: &str, name: &str, inside: &str) {
    text.push_str(&match inside {
        "" => format!("  <{kind} name=\"{name}\"/>\n"),
        inside => format!("  <{kind} name=\"{name}\">\n{inside}  </{kind}>\n"),
    });
}

fn write_property(text: &mut String, property: &Property) {
    let access = if property.writable { "readwrite" } else { "read" };
    text.push_str(&format!(
        "  <property name=\"{}\" type=\"{}\" access=\"{access}\">\n   <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\"{}\"/>\n  </property>\n",
        property.name, property.kind, property.emits
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::object::Object;

    #[test]
    fn the_files_are_current() {
        let id = "00000000-0000-7000-8000-000000000000".to_owned();
        let objects = [
            ("org.slothd.Slothd1.xml", Object::Base),
            ("org.slothd.Slothd1.Manager.xml", Object::Manager),
            ("org.slothd.Slothd1.Schedule.xml", Object::Schedule(id.clone())),
            ("org.slothd.Slothd1.Run.xml", Object::Run(id)),
            ("org.freedesktop.LogControl1.xml", Object::LogControl),
        ];
        for (name, object) in objects {
            let path = format!("{}/dbus/{name}", env!("CARGO_MANIFEST_DIR"));
            let written = xml(object.interfaces(), &[]);
            if std::env::var_os("SLOTH_BLESS").is_some() {
                std::fs::write(&path, &written).expect("writable");
            }
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(stored, written, "run with SLOTH_BLESS=1 to write {path}");
        }
    }
}
