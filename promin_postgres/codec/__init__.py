"""How values become text in the database, and come back.

`JSON` takes what JSON has; `codec_for(Order)` takes instances of classes. A value that cannot make the round trip is
refused at the call, before anything is written, with the path to the fault:
`CodecError: step 'price': $.items[3].tags: set is not a JSON type`.
"""

from promin_postgres.codec._encoded import Encoded
from promin_postgres.codec._json import JSON, Codec, JsonCodec
from promin_postgres.codec._typed import TypedCodec, codec_for

__all__ = ["JSON", "Codec", "Encoded", "JsonCodec", "TypedCodec", "codec_for"]
