//! What may be wrong with a transport.

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Listener,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// A byte is another, from the first on.
    Damages,
    /// What was not flushed is dropped when this side ends the stream.
    LosesTheEnd(Side),
    /// Ending one direction ends both.
    EndsBoth(Side),
    /// Ending a direction ends nothing.
    EndsNothing(Side),
    /// A byte that comes late is another.
    DamagesLate(Side),
    /// What nobody reads is kept, however much it is.
    TakesEverything(Side),
    /// Connections beyond the first ones damage what they carry.
    DamagesTheLater,
    /// While one connection waits to write, all do.
    WaitsForAll,
    /// Writes every byte twice.
    WritesTwice(Side),
    /// Takes a while for each write, however little it is.
    Dawdles(Side),
    /// Waits to read from an end that is gone.
    WaitsForTheGone(Side),
    /// Waits to write to an end that is gone.
    WritesToTheGone(Side),
    /// Takes what is written to an end that is gone.
    SwallowsForTheGone(Side),
    /// A stream that was not ended reads as ended.
    ReadsAsEnded(Side),
    /// Accepting takes a connection before its last wait.
    LosesTheCancelled,
    /// Accepting waits for the handshake before it.
    OneHandshakeAtATime,
    /// Accepting waits for its own handshake.
    ShakesHandsWhileAccepting,
    /// The listener tells the address that it was asked for.
    TellsNoPort,
    /// A listener goes on when it is dropped.
    KeepsItsAddress,
    /// Connections end with the listener.
    CutsWithItsListener,
    /// Dialling waits for somebody to come.
    HangsWhereNobodyIs,
    /// Dialling fails, and not as one that may succeed later.
    CallsNobodyAnAddress,
    /// Dialling succeeds, and nobody is there.
    AnswersForNobody,
    /// This side is told another identity.
    Misnames(Side),
    /// Dialling takes whoever is there.
    IgnoresExpected,
    /// Dialling sends the caller's bytes before it looks who is there.
    SpeaksFirst,
    /// The known peers are not looked at.
    LetsStrangersIn,
    /// Something is said before the known peers are looked at.
    SpeaksToStrangers,
    /// An unknown option is taken.
    SwallowsOptions,
    /// An unknown option is found, and not where it is.
    PointsElsewhere,
    /// An unknown option is found, and not named.
    NamesNothing,
    /// An unknown option is found when a transport is checked, not when it is made.
    MakesUnchecked,
    /// What is said of a default is not so.
    MisstatesItsDefault,
    /// What is said of a default cannot be written.
    GarblesItsDefault,
    /// A connection breaks after a few MiB.
    Breaks,
    /// When a connection broke there is none any more.
    ReachesNobodyAfterACut,
}
