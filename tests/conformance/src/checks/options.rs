//! The transport's table in the configuration.

use realize_core::registry::{TableError, TransportTable};

use crate::failure::{During, Failure, Outcome, ensure};
use crate::world::World;

/// An option that no transport has.
const UNKNOWN: &str = "no_such_option_exists";

/// A configuration whose table of this transport holds what it must, and `line` besides.
fn configuration(world: &World, line: &str) -> String {
    let (name, table) = (world.factory.name(), &world.table);
    format!(
        "transport = \"{name}\"\n[transports.{name}]\n{table}\n{line}\n[log]\nlevel = \"info\"\n"
    )
}

/// What the factory makes of a table.
fn look(world: &World, text: &str) -> Outcome<Result<(), TableError>> {
    let table = TransportTable::find(text, world.factory.name());
    Ok(world.factory.check(&table.during("finding the table")?))
}

pub(crate) fn unknown(world: &World) -> Outcome {
    let known = configuration(world, "");
    look(world, &known)?.during("the table of the world")?;

    let text = configuration(world, &format!("{UNKNOWN} = 1"));
    let Err(error) = look(world, &text)? else {
        return Err(Failure::new(format!("the option {UNKNOWN} is taken")));
    };
    ensure(error.what.contains(UNKNOWN), || {
        format!("the option {UNKNOWN} is unknown, and the error does not name it: {error}")
    })?;
    let place = error.span.clone().and_then(|span| text.get(span));
    ensure(place == Some(UNKNOWN), || {
        format!("the option {UNKNOWN} is unknown, and the error points at {place:?}")
    })?;
    let table = TransportTable::find(&text, world.factory.name()).during("finding the table")?;
    let built = world.factory.build(&table, &world.context);
    ensure(built.is_err(), || {
        format!("with the option {UNKNOWN} a transport is made")
    })
}

pub(crate) fn defaults(world: &World) -> Outcome {
    let absent = configuration(world, "");
    let made = |text: &str| -> Outcome<String> {
        let table = TransportTable::find(text, world.factory.name());
        let table = table.during("reading it as TOML")?;
        let built = world.factory.build(&table, &world.context);
        // Debug shows what the transport was made of, as far as it can be seen from outside.
        Ok(format!("{:?}", built.during("making a transport of it")?))
    };
    let silent = made(&absent).during("a table that says nothing")?;
    for option in world.factory.options() {
        let name = option.name;
        ensure(!option.what.trim().is_empty(), || {
            format!("nothing says what {name} is")
        })?;
        let must = |line: &str| line.split('=').next().is_some_and(|key| key.trim() == name);
        if world.table.lines().any(must) {
            continue;
        }
        let said = configuration(world, &format!("{name} = {}", option.default));
        let said = made(&said).during(format!("`{name} = {}`, its default", option.default))?;
        ensure(said == silent, || {
            let default = &option.default;
            format!("{default} is not what holds where {name} is absent: {said} is not {silent}")
        })?;
    }
    Ok(())
}
