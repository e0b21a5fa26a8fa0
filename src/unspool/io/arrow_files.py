"""Arrow files (`.feather`, `.arrow`, `.ipc`), read batch by batch."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather

from unspool.errors import InputError
from unspool.io.archives import MAX_COMPRESSION

HARMLESS = 1 << 30  # bytes that any file may unpack to, however small it is


def read_arrow(path: Path) -> Any:
    """Read a Feather file, or a file or stream of Arrow batches, as a `pyarrow.Table`.

    Raises
    ------
    InputError
        If the file is damaged, has no rows, or would unpack to more than 1 GiB and 200 times its
        size.
    """
    limit = max(HARMLESS, MAX_COMPRESSION * path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(6)
    try:
        if start[:4] == b"FEA1":
            table = feather.read_table(path, memory_map=False)
        else:
            with pa.OSFile(str(path), "rb") as source:
                if start == b"ARROW1":
                    reader = pa.ipc.open_file(source)
                    batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
                else:
                    reader = pa.ipc.open_stream(source)
                    batches = iter(reader)
                kept, total = [], 0
                for batch in batches:
                    total += batch.nbytes
                    if total > limit:
                        raise InputError(
                            f"the file unpacks to more than {limit:,} bytes; if that is intended, "
                            "write it as .npy."
                        )
                    kept.append(batch)
                table = pa.Table.from_batches(kept, reader.schema)
            table.validate(full=True)
    except InputError:
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        raise InputError(f"the file cannot be read as Arrow: {error}.") from None
    if table.num_rows == 0:
        raise InputError("the table has no rows; write it again.")
    return table
