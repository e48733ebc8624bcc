-- How many processes of which version are there, and on how many hosts?
SELECT program, version, count() AS processes, uniqExact(host) AS hosts,
    (SELECT uniqExact(host) FROM latest) AS all_hosts
FROM latest GROUP BY program, version
ORDER BY processes DESC, program, version;
