SELECT currency, count(*) AS wallets, sum(balance) AS balance FROM core.wallets GROUP BY currency
