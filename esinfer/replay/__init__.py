"""Record and replay: real exchanges with upstreams, kept in files, answered from there later.

``recorder.RecordingTransport`` wraps the transport of ``serve`` and notes what
it sees; ``player.ReplayTransport`` stands in for it in ``mock``. Between them
is ``recording.Recording``, a file; ``layout`` is its text. ``asked`` says what
a request asks for (a key for the whole, and one for each input text), with
``masking`` for what must not be written down; ``batches`` takes the answer to
a batch apart and puts one together; ``answers`` and ``vectors`` are what is
kept, ``runs`` the order in which one request was answered, ``nearest`` the
words for a request that was never recorded.
"""

DEFAULT_NAME = "default"  # of a recording, where nobody gave another
