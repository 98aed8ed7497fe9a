"""Captured lines -> the rows of their requests, as one SQL query that streams: nothing is kept between its steps.

A request is CSV without a header line (plain or in base64), or JSON: a list of rows, or such a list under
``instances``, a row being a list of values; one flat list is one row. Quoted CSV fields may hold commas, line ends and
doubled quotes (RFC 4180). What cannot be read as a row becomes a row without fields, never an error.

Source of the line format: SageMaker developer guide, "Capture data from real-time endpoint".
"""

# ruff: noqa: S608  # queries are made of our own names and numbers; values are parameters, or quoted by engine.py

from __future__ import annotations

from mlops_kit.tabular.engine import text

MAX_LINE_BYTES = 64 * 1024**2
"""A real-time request has at most 25 MB; its line holds it in base64, and the answer as well."""

_INPUT = "/captureData/endpointInput"
_POINTERS = (f"{_INPUT}/data", f"{_INPUT}/encoding", f"{_INPUT}/observedContentType", "/eventMetadata/inferenceTime")

# A doubled quote inside a quoted field reads as two quoted pieces side by side, so neither pattern has to know it. The
# comma that is put in front lets every field be "a comma and what follows it", also an empty first one.
# A request with an odd number of quotes has no rows: nobody can tell where they end.
_LINES = r"""CASE WHEN NOT contains(body, '"') THEN string_split(body, chr(10))
            WHEN (length(body) - length(replace(body, '"', ''))) % 2 = 0
                THEN regexp_extract_all(body, '(?:[^"\n]|"[^"]*")+') END"""
_QUOTED = r"""list_transform(regexp_extract_all(',' || line, ',((?:[^",]|"[^"]*")*)', 1), lambda piece:
            CASE WHEN starts_with(piece, '"') THEN replace(piece[2:-2], '""', '"') ELSE piece END)"""


def request_rows(window_seconds: int) -> str:
    """Common table expressions that end in ``request_rows(start, fields)``; the one parameter is the list of files.

    ``start``: where the row's window starts, in seconds since the Unix epoch; NULL for a line that holds no request or
    no time, which becomes one row. ``fields``: the row's values as texts; NULL for a row, or a whole request, that
    cannot be read.
    """
    pointers = ", ".join(text(pointer) for pointer in _POINTERS)
    return f"""
        captured AS NOT MATERIALIZED (
            SELECT json_extract_string(json, [{pointers}]) AS part
            FROM read_ndjson_objects(?, ignore_errors = true, maximum_object_size = {MAX_LINE_BYTES},
                                     compression = 'none', hive_partitioning = false)
        ),
        requests AS NOT MATERIALIZED (
            SELECT CASE WHEN part[1] IS NOT NULL THEN epoch_us(TRY_CAST(part[4] AS TIMESTAMPTZ)) END
                       // 1000000 // {window_seconds} * {window_seconds} AS start,
                   coalesce(part[2] = 'JSON' OR contains(lower(part[3]), 'json'), false) AS is_json,
                   CASE WHEN part[2] = 'BASE64' THEN TRY(decode(from_base64(part[1]))) ELSE part[1] END AS body
            FROM captured
        ),
        bodies AS NOT MATERIALIZED (
            SELECT start, is_json, CASE WHEN start IS NULL THEN NULL WHEN NOT is_json THEN body WHEN json_valid(body)
                       THEN coalesce(json_extract(body, '/instances')::VARCHAR, body) END AS body
            FROM requests
        ),
        split AS NOT MATERIALIZED (
            SELECT start, is_json, CASE
                WHEN NOT is_json THEN list_filter(list_transform({_LINES}, lambda line: rtrim(line, chr(13))),
                                                  lambda line: line <> '')
                WHEN json_type(body, '$[0]') = 'ARRAY' THEN json_extract(body, '$[*]')::VARCHAR[]
                ELSE [body] END AS lines
            FROM bodies
        ),
        rows_as_text AS NOT MATERIALIZED (
            SELECT start, is_json, unnest(CASE WHEN len(lines) > 0 THEN lines ELSE [NULL] END) AS line FROM split
        ),
        request_rows AS NOT MATERIALIZED (
            SELECT start, CASE
                WHEN is_json THEN CASE WHEN json_type(line) = 'ARRAY' THEN json_extract_string(line, '$[*]') END
                WHEN contains(line, '"') THEN {_QUOTED}
                ELSE string_split(line, ',') END AS fields
            FROM rows_as_text
        )
    """
