-- In which versions is each place? `of` is the number of all processes of that version, and `report_id`
-- one of its reports, to begin with.
WITH of_version AS (SELECT program, version, count() AS of FROM latest GROUP BY program, version)
SELECT place_id, here.program AS program, here.version AS version, processes, of, count, report_id
FROM (
    SELECT place_id, program, version, count() AS processes, sum(at_places.count) AS count,
        min(latest.report_id) AS report_id
    FROM at_places JOIN latest USING (report_id) GROUP BY place_id, program, version
) AS here
JOIN of_version ON here.program = of_version.program
    AND here.version IS NOT DISTINCT FROM of_version.version
ORDER BY place_id, processes DESC, program, version;
