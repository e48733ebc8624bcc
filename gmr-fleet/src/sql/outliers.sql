-- Which processes differ from the others of their version? Those at a place at which hardly any other is
-- (at most one in 20, of at least 20), and those with at least twice as many threads as half of the
-- others, and 20 more. It says how they differ, and not that something is wrong with them.
WITH kinds AS (
    SELECT program, version, count(*) AS of FROM latest GROUP BY program, version HAVING count(*) >= 20
), rare AS (
    SELECT place_id, at_places.program, at_places.version, any_value(of) AS of,
        count(DISTINCT report_id) AS processes
    FROM at_places JOIN kinds ON at_places.program = kinds.program
        AND at_places.version IS NOT DISTINCT FROM kinds.version
    WHERE NOT idle
    GROUP BY place_id, at_places.program, at_places.version
    HAVING count(DISTINCT report_id) * 20 <= any_value(of)
), sizes AS (
    SELECT latest.report_id, latest.program, latest.version, latest.host, latest.pid, reports.threads,
        median(reports.threads) OVER (PARTITION BY latest.program, latest.version) AS median, kinds.of
    FROM latest JOIN reports USING (report_id) JOIN kinds ON latest.program = kinds.program
        AND latest.version IS NOT DISTINCT FROM kinds.version
)
SELECT 'place' AS differs, here.program, here.version, here.host, here.report_id, processes, of,
    array_to_string(functions[1:3], ' < ') AS what
FROM rare JOIN (SELECT DISTINCT report_id, program, version, host, place_id FROM at_places) AS here
    ON here.place_id = rare.place_id AND here.program = rare.program
    AND here.version IS NOT DISTINCT FROM rare.version
JOIN places ON places.place_id = rare.place_id
UNION ALL
SELECT 'threads', program, version, host, report_id, 1, of,
    threads || ' threads; the median is ' || CAST(median AS BIGINT)
FROM sizes WHERE threads >= 2 * median AND threads >= median + 20
ORDER BY differs, processes, program, version, host, report_id, what;
