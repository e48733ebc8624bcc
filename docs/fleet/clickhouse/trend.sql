-- How does it change? For each step of so many seconds: of each process, its latest report of that step
-- counts. `begins_at` is in seconds since 1970. The parameters are the length of a step, and with what the
-- id of a place begins, or nothing:
--   SET param_seconds = '3600', param_place = '4f0c..';
WITH steps AS (
    SELECT *, toInt64({seconds:UInt32}) AS seconds,
        toInt64(floor(toUnixTimestamp64Milli(assumeNotNull(made_at)) / 1000 / seconds)) * seconds AS begins_at
    FROM processes WHERE made_at IS NOT NULL
), chosen AS (
    SELECT report_id, begins_at FROM (
        SELECT *, row_number() OVER (
            PARTITION BY begins_at, program, version, host, container_id, pid, process
            ORDER BY made_at DESC, number DESC NULLS LAST, report_id) AS age
        FROM steps
    ) WHERE age = 1
), found AS (
    SELECT report_id, toNullable(max(severity = 'error')) AS errors,
        toNullable(max(severity = 'warning')) AS warnings
    FROM findings GROUP BY report_id
), used AS (
    SELECT report_id, max(resources.resident_bytes) AS resident_bytes FROM resources GROUP BY report_id
), there AS (
    SELECT DISTINCT report_id, toNullable(1) AS at_place FROM at_places
    WHERE {place:String} <> '' AND startsWith(place_id, {place:String})
)
SELECT begins_at, count() AS processes, uniqExact(host) AS hosts,
    coalesce(sum(errors), 0) AS with_errors, coalesce(sum(warnings), 0) AS with_warnings,
    quantileExactInclusive(0.5)(reports.threads) AS threads, max(reports.threads) AS most_threads,
    quantileExactInclusive(0.5)(used.resident_bytes) AS resident_bytes,
    max(used.resident_bytes) AS most_resident_bytes, count(at_place) AS at_place
FROM chosen JOIN reports ON reports.report_id = chosen.report_id
LEFT JOIN found ON found.report_id = chosen.report_id
LEFT JOIN used ON used.report_id = chosen.report_id
LEFT JOIN there ON there.report_id = chosen.report_id
GROUP BY begins_at ORDER BY begins_at
SETTINGS join_use_nulls = 1;
