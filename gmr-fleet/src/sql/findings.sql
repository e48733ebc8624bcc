-- The findings of all processes, those that say the same but for numbers together, the most severe and
-- most frequent first.
SELECT code, severity, coalesce(certainty, 'certain') AS certainty, min(message) AS message,
    count(DISTINCT message) > 1 AS numbers_differ, count(DISTINCT report_id) AS processes,
    count(DISTINCT host) AS hosts, said
FROM findings JOIN latest USING (report_id)
GROUP BY code, severity, coalesce(certainty, 'certain'), said
ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, processes DESC, code, message,
    certainty, said;
