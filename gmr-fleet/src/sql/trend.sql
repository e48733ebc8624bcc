-- How does it change? For each step of so many seconds: of each process, its latest report of that step
-- counts. `begins_at` is in seconds since 1970. Set the length of a step, and optionally with what
-- the id of a place begins:
--   SET VARIABLE seconds = '3600'; SET VARIABLE place = '4f0c..';
WITH steps AS (
    SELECT *, CAST(floor(date_part('epoch', made_at) / CAST(getvariable('seconds') AS BIGINT)) AS BIGINT)
        * CAST(getvariable('seconds') AS BIGINT) AS begins_at
    FROM processes WHERE made_at IS NOT NULL
), chosen AS (
    SELECT report_id, begins_at FROM (
        SELECT *, row_number() OVER (
            PARTITION BY begins_at, program, version, host, container_id, pid, process
            ORDER BY made_at DESC, number DESC NULLS LAST, report_id) AS age
        FROM steps
    ) AS aged WHERE age = 1
), found AS (
    SELECT report_id, max(CASE severity WHEN 'error' THEN 1 ELSE 0 END) AS errors,
        max(CASE severity WHEN 'warning' THEN 1 ELSE 0 END) AS warnings
    FROM findings GROUP BY report_id
), used AS (
    SELECT report_id, max(resident_bytes) AS resident_bytes FROM resources GROUP BY report_id
), there AS (
    SELECT DISTINCT report_id, 1 AS at_place FROM at_places
    WHERE starts_with(place_id, CAST(getvariable('place') AS VARCHAR))
)
SELECT begins_at, count(*) AS processes, count(DISTINCT host) AS hosts,
    coalesce(sum(errors), 0) AS with_errors, coalesce(sum(warnings), 0) AS with_warnings,
    median(CAST(threads AS DOUBLE)) AS threads, max(threads) AS most_threads,
    median(CAST(resident_bytes AS DOUBLE)) AS resident_bytes, max(resident_bytes) AS most_resident_bytes,
    count(at_place) AS at_place
FROM chosen JOIN reports ON reports.report_id = chosen.report_id
LEFT JOIN found ON found.report_id = chosen.report_id
LEFT JOIN used ON used.report_id = chosen.report_id
LEFT JOIN there ON there.report_id = chosen.report_id
GROUP BY begins_at ORDER BY begins_at;
