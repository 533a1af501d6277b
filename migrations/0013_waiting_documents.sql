-- Documents that wait for validators are asked for in the KageSecur dialect like others: by their doubled digest.

create index validations_doubled on validations (doubled_digest(digest)) where state <> 'accepted';
